"""Measurements of the hot paths, each against its own limit in the same run; run them by path."""
