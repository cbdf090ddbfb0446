"""The demo: run by path (demo/run.py), never part of the package."""
