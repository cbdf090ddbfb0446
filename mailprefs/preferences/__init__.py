"""Every change of one person's choices, whichever door it comes by, and where the person stands.

All of them go through ``choosing.apply``, which writes ledger and rows together. The edge opens the
transaction with ``Gate.TAKING``: when it has committed, no later vendor call sees the old choice.
"""

from mailprefs.preferences import reasons, signing_up
from mailprefs.preferences.asking import PAUSES, set_frequency, set_language, set_pause
from mailprefs.preferences.by_staff import set_by_staff
from mailprefs.preferences.choosing import Applied, Change, Door, apply
from mailprefs.preferences.holding import Held, held
from mailprefs.preferences.leaving import (
    Click,
    keep_topics,
    opt_out,
    opt_out_all,
    opt_out_each,
    opt_out_topic,
    take_back,
    undo,
)
from mailprefs.preferences.page import (
    Preferences,
    TopicShown,
    Wish,
    current,
    set_topics,
    set_tracking,
    wished,
)

__all__ = [
    "PAUSES",
    "Applied",
    "Change",
    "Click",
    "Door",
    "Held",
    "Preferences",
    "TopicShown",
    "Wish",
    "apply",
    "current",
    "held",
    "keep_topics",
    "opt_out",
    "opt_out_all",
    "opt_out_each",
    "opt_out_topic",
    "reasons",
    "set_by_staff",
    "set_frequency",
    "set_language",
    "set_pause",
    "set_topics",
    "set_tracking",
    "signing_up",
    "take_back",
    "undo",
    "wished",
]
