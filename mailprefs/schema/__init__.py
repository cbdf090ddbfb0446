"""Every table, one module a group: columns, constraints and privacy marks, no behaviour.

``mailprefs.schema.tables`` imports them all, so that ``Base.metadata`` is whole.
"""
