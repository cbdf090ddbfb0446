"""The vendor seam: what is handed over, how it is checked, and the adapter that carries it."""
