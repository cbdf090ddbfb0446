"""Alarms: what stands in the way of the sending, seen by itself, told once, gone by itself.

Nobody raises an alarm by hand. Once a minute the facts are read (``facts``), what they mean is
worked out by pure functions (``conditions``), and the table is brought to that state (``keeping``).
Then the operator is told (``telling``, ``mailing``). Each kind has its words in ``kinds`` and its
entry in ``docs/runbook.md``.
"""
