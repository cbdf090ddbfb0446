"""Every setting, read and checked once at start; ``docs/settings.md`` lists them for people.

Values come from ``MAILPREFS_*`` in the environment and, below that, from ``settings.env`` in the
data directory, which ``mailprefs init`` writes (mode 600) with the generated keys.

``values``   the settings, and what each may be
``reading``  from the environment and the file; a sentence for whatever is wrong
``places``   where this program's own files lie
"""

from mailprefs.settings.places import migrations_dir, templates_dir, version
from mailprefs.settings.reading import load
from mailprefs.settings.values import (
    PREFIX,
    Environment,
    OneClickScope,
    Settings,
    is_loopback,
)

__all__ = [
    "PREFIX",
    "Environment",
    "OneClickScope",
    "Settings",
    "is_loopback",
    "load",
    "migrations_dir",
    "templates_dir",
    "version",
]
