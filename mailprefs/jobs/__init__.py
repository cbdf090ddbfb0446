"""Work that goes on behind the pages: imports, dispatch, ingest.

A job opens its own short transactions, goes on where it was interrupted, and tells how far it is.
"""
