"""What somebody asks an import to do, checked before the file is opened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mailprefs.errors import BadInput
from mailprefs.jobs.imports.columns import checked_mapping
from mailprefs.schema.imports import ImportedAs

LONGEST_SOURCE: Final = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOrder:
    """One file's topic (its slug), where its people agreed (or said no), and what its columns are.

    ``mapping``: names (or numbers, from 1) of columns with a field of ``columns.FIELDS``, an
    attribute's name, or "-" to leave the column out. With ``dry_run`` nothing is written.

    :raises BadInput: for an empty source, or a mapping to what is no field.
    """

    topic: str
    source: str
    imported_as: ImportedAs = ImportedAs.SUBSCRIBED
    mapping: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.source.strip():
            msg = (
                "--source is empty; say where these people agreed, in words that prove it later, "
                'such as --source "Box on the order form, not ticked beforehand, since 2024".'
            )
            raise BadInput(msg)
        if len(self.source) > LONGEST_SOURCE:
            raise BadInput(
                f"--source is longer than {LONGEST_SOURCE:,} characters; say it shorter."
            )
        checked_mapping(self.mapping.items())
