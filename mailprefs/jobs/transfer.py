"""Write people's data into one file for whoever takes the company over, and on record.

The file is private (0600), appears under its name only when it is whole, and only after the
register of disclosures has it. Whoever is erased while it is written isn't in anybody's file: it is
thrown away then, and made anew by calling again.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sqlalchemy.orm import Session

from mailprefs import files
from mailprefs.audit import Actor
from mailprefs.db.database import Database, Gate
from mailprefs.errors import Conflict
from mailprefs.privacy import disclosures, transfer
from mailprefs.privacy.disclosures import Told
from mailprefs.schema.legal import DisclosureBasis

PEOPLE: Final = "people.jsonl"
_BLOCK: Final = 1 << 20
_PRIVATE: Final = 0o600


class Transferred(NamedTuple):
    """What was written: its number in the register, how many people, and the file's SHA-256."""

    number: int
    people: int
    sha256: str


class _Written(NamedTuple):
    """How many lines of a file, and their SHA-256."""

    lines: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a transfer needs: from where, who makes it, to whom it goes and why."""

    db: Database
    actor: Actor
    clock: Callable[[], datetime]
    to_whom: str
    reason: str

    def write(self, file: Path) -> Transferred:
        """Write everybody's data into the ZIP archive *file*.

        :raises BadFile: for a file that is there already or can't be written.
        :raises BadInput: without whom it goes to, or a reason in a sentence.
        :raises Conflict: where somebody was erased meanwhile, or nobody is on file.
        """
        with files.private(file) as out:
            with self.db.reading() as session:
                before = transfer.mark(session)
                people = _archive(out, session, self.clock())
            digest = digest_of(out)
            # On record before the file is there to be given away.
            number = self._record(before, people, digest)
        return Transferred(number, people, digest)

    def _record(self, before: transfer.Mark, people: int, digest: str) -> int:
        with self.db.transaction(Gate.TAKING) as session:
            if transfer.mark(session) != before:
                msg = "Somebody was erased meanwhile, so the file was thrown away; call it again."
                raise Conflict(msg)
            if people == 0:
                msg = "Nobody is on file, so there is nothing to transfer."
                raise Conflict(msg)
            told = Told(
                DisclosureBasis.TRANSFER,
                self.to_whom,
                transfer.FIELDS,
                people,
                self.reason,
                sha256=bytes.fromhex(digest),
            )
            return disclosures.record(session, told, self.actor, now=self.clock())


def _archive(out: BinaryIO, session: Session, now: datetime) -> int:
    """Write every file of the archive, the manifest last; give how many people are in it."""
    written: dict[str, _Written] = {}
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, lines in transfer.files(session):
            written[name] = _add(archive, name, lines, now)
        archive.writestr(_named("README.txt", now), transfer.FORM)
        manifest = {
            "made_at": now.isoformat(),
            "files": {name: one._asdict() for name, one in written.items()},
        }
        archive.writestr(_named("manifest.json", now), json.dumps(manifest, indent=2))
    return written[PEOPLE].lines


def _add(
    archive: ZipFile, name: str, lines: Iterable[Mapping[str, Any]], now: datetime
) -> _Written:
    digest, count = hashlib.sha256(), 0
    with archive.open(_named(name, now), "w", force_zip64=True) as out:
        for line in lines:
            text = json.dumps(line, ensure_ascii=False).encode() + b"\n"
            digest.update(text)
            out.write(text)
            count += 1
    return _Written(count, digest.hexdigest())


def _named(name: str, now: datetime) -> ZipInfo:
    info = ZipInfo(name, now.timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    info.external_attr = _PRIVATE << 16
    return info


def digest_of(content: BinaryIO) -> str:
    """Give the SHA-256 of a file from its beginning, in hexadecimal."""
    content.seek(0)
    digest = hashlib.sha256()
    while block := content.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
