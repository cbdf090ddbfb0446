"""The vendor's stand-in on this machine: it speaks Mail Send v3, keeps the mail and shows it."""
