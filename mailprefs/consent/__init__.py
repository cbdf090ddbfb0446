"""The consent ledger: what people chose, under which words and which policy, provable later."""

from mailprefs.consent.checking import verify
from mailprefs.consent.entries import GENESIS, Entry, Head, Row, Shown, rows
from mailprefs.consent.ledger import (
    SLICE,
    Recorded,
    append,
    forget,
    head,
    histories,
    history,
    lock,
    store,
)
from mailprefs.consent.policies import (
    current_policy,
    lapsing_after,
    policy_at,
    policy_in_force,
    policy_starts,
    publish_policy,
    version,
    versions,
)
from mailprefs.consent.wordings import wording, wording_text

__all__ = [
    "GENESIS",
    "SLICE",
    "Entry",
    "Head",
    "Recorded",
    "Row",
    "Shown",
    "append",
    "current_policy",
    "forget",
    "head",
    "histories",
    "history",
    "lapsing_after",
    "lock",
    "policy_at",
    "policy_in_force",
    "policy_starts",
    "publish_policy",
    "rows",
    "store",
    "verify",
    "version",
    "versions",
    "wording",
    "wording_text",
]
