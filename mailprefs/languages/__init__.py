"""The languages in which recipients are spoken to.

English is the source: its sentences stand in templates and code. Every other language is one file
beside this one, ``<tag>.po``, that gives each sentence anew; its tag (BCP 47) is the file's name.
``scripts/translations.py`` keeps the files in step with templates and code.
"""

from mailprefs.languages.choosing import best, find
from mailprefs.languages.language import (
    ENGLISH,
    RIGHT_TO_LEFT,
    Language,
    direction,
    every,
    gettext_noop,
)
from mailprefs.languages.mails import marked, translated

__all__ = [
    "ENGLISH",
    "RIGHT_TO_LEFT",
    "Language",
    "best",
    "direction",
    "every",
    "find",
    "gettext_noop",
    "marked",
    "translated",
]
