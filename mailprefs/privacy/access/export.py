"""What was collected of one person, and its JSON, whose form ``docs/access.md`` describes.

A name in it never changes its meaning. What is added leaves ``VERSION`` as it is; what is renamed
or taken away makes it one more.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

FORMAT: Final = "mailprefs-person"
VERSION: Final = 1

Value = str | int | bool | datetime | date | Sequence[object] | Mapping[str, object] | None
Record = Mapping[str, Value]


class Section(NamedTuple):
    """All rows of one kind about the person, oldest first; *key* names them in the JSON."""

    key: str
    records: tuple[Record, ...]


class Withheld(NamedTuple):
    """Why some stored columns ("table.column") aren't shown, in an English sentence."""

    why: str
    columns: tuple[str, ...]


class Export(NamedTuple):
    """Everything stored about one person: *zone* is the installation's, *language* the person's.

    Sections without a record are left out.
    """

    made_at: datetime
    zone: str
    language: str | None
    sections: tuple[Section, ...]
    withheld: tuple[Withheld, ...]

    def section(self, key: str) -> tuple[Record, ...]:
        """Give the records of one kind; none where nothing of it is stored."""
        return next((one.records for one in self.sections if one.key == key), ())

    def document(self) -> dict[str, object]:
        """Give it as what JSON holds: instants in UTC as ISO 8601, days as YYYY-MM-DD."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "made_at": plain(self.made_at),
            "time_zone": self.zone,
            "language": self.language,
            "data": {
                one.key: [
                    {name: plain(value) for name, value in record.items()} for record in one.records
                ]
                for one in self.sections
            },
            "not_shown": [{"why": one.why, "columns": list(one.columns)} for one in self.withheld],
        }


def as_json(export: Export) -> str:
    """Give an export as text of a JSON file."""
    return json.dumps(export.document(), ensure_ascii=False, indent=2) + "\n"


def plain(value: object) -> object:
    """Give a value as JSON holds it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
