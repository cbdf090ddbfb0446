"""Our own house: database, disks, spool, and whether anybody sends."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from mailprefs import instance, machine, times
from mailprefs.db.database import Database
from mailprefs.db.version import pending
from mailprefs.deliveries import pace, presence
from mailprefs.doctor.findings import Finding, ok, warning, wrong
from mailprefs.errors import StoreUnavailable
from mailprefs.machine import Disk, SpoolLevel
from mailprefs.settings import Settings

OLDEST_POSTGRESQL: Final = 13
_OF_NETWORK: Final = ("nfs", "cifs", "smb", "9p", "sshfs", "glusterfs", "ceph", "afs", "lustre")
_COUNTED_WITHIN: Final = timedelta(minutes=2)


def of_database(db: Database, settings: Settings) -> Iterator[Finding]:
    """Check that the database answers and takes what is written, and that its schema is current."""
    area = "Database"
    try:
        kind = _written(db, settings)
    except StoreUnavailable:
        todo = "See that it runs, and that MAILPREFS_DATABASE_URL and its rights are right."
        yield wrong(area, "It can't be reached, or nothing can be written.", todo)
        return
    yield kind
    if pending(db):
        said = "Its tables are older than this program, or aren't there yet."
        yield wrong("Migrations", said, "Stop the service, then: mailprefs init")
    else:
        yield ok("Migrations", "None is pending.")


def of_disks(disks: tuple[Disk, ...]) -> Iterator[Finding]:
    """Check the room under database, data directory and spool."""
    for disk in disks:
        free, total = machine.in_words(disk.free), machine.in_words(disk.total)
        said = f"{free} of {total} are free under {disk.holds}."
        if disk.is_filling:
            grave = wrong if disk.is_full else warning
            yield grave("Disk", said, "Make room, or move the data directory to a larger disk.")
        else:
            yield ok("Disk", said)


def of_spool(level: SpoolLevel, now: datetime) -> Finding:
    """Check that the pixel's hits are counted, and that there is room for more."""
    area = "Spool"
    used = machine.in_words(level.used)
    if level.unreadable:
        said = f"{level.unreadable} files in it can't be read, and their hits aren't counted."
        return warning(area, said, "The log names them; they may be of another version.")
    since = level.waiting_since
    if since is not None and now - since > _COUNTED_WITHIN:
        said = f"Hits have waited to be counted for {machine.age(since, now)} ({used})."
        return warning(area, said, "Start the service here: `mailprefs run` or `mailprefs worker`.")
    if level.share >= 0.5:
        said = f"It is {level.share:.0%} full."
        return warning(area, said, "See that the service runs and reaches the database.")
    return ok(area, f"All hits are counted ({used} on disk).")


def of_workers(session: Session, now: datetime) -> Finding:
    """Check that somebody sends; *now* is the database's time."""
    area = "Workers"
    alive, last = presence.show(session)
    if alive:
        return ok(area, "1 process sends." if alive == 1 else f"{alive} processes send.")
    said = "No process sends"
    said += f"; the last one was seen {machine.age(last, now)} ago." if last else " at the moment."
    return warning(area, said, "Start one: `mailprefs run`, or `mailprefs worker` on more hosts.")


def of_instance(session: Session, settings: Settings) -> Finding:
    """Check that this is the live installation, and no copy or restored backup of it."""
    area, place = "Installation", instance.place(settings)
    why = instance.examine(session, place)
    if why is not None:
        said, _, todo = why.partition(" Nothing is sent")
        return wrong(area, said, f"Nothing is sent{todo}")
    if place.journal.last() < instance.refusals_known(session):
        said = "The journal of refusals ends before the database does: lines of it are missing."
        todo = "Find the file that MAILPREFS_JOURNAL was, or keep backups for as long as it lacks."
        return warning(area, said, todo)
    return ok(area, "It is the live one, and its journal of refusals is whole.")


def of_sending(session: Session) -> Finding:
    """Check that mail may go out at all."""
    area, found = "Sending", pace.show(session)
    if found.stopped_at is not None:
        said = f"All sending is stopped since {times.written(found.stopped_at)}."
        reason = f" {found.stopped_reason}" if found.stopped_reason else ""
        return wrong(area, said + reason, "Mend that, then: mailprefs sending start")
    return ok(area, "Nothing stops it.")


def _written(db: Database, settings: Settings) -> Finding:
    """Say which database it is, and whether it is fit and takes what is written.

    :raises StoreUnavailable: if it doesn't.
    """
    file = machine.database_file(settings)
    with db.transaction() as session:
        if file is None:
            return _of_postgresql(session)
        # Taken back at once: that it was taken is all there is to know.
        with session.begin_nested() as trial:
            session.execute(text("CREATE TABLE mailprefs_doctor (n INTEGER)"))
            trial.rollback()
        return _of_sqlite(session, file)


def _of_postgresql(session: Session) -> Finding:
    if session.execute(text("SHOW transaction_read_only")).scalar_one() != "off":
        said = "PostgreSQL answers, and nothing can be written there: it is a read-only copy."
        return wrong(
            "Database", said, "Set MAILPREFS_DATABASE_URL to the server that is written to."
        )
    number = int(session.execute(text("SHOW server_version_num")).scalar_one())
    shown = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number // 10_000 < OLDEST_POSTGRESQL:
        said = f"{shown} is older than what mailprefs is made for ({OLDEST_POSTGRESQL})."
        return warning("Database", said, "Update it.")
    return ok("Database", f"{shown} answers and can be written to.")


def _of_sqlite(session: Session, file: Path) -> Finding:
    mode = str(session.execute(text("PRAGMA journal_mode")).scalar_one()).lower()
    if mode != "wal":
        said = f"SQLite's log is in the mode {mode} and not WAL, so readers wait for writers."
        return wrong("Database", said, "See that its folder can be written to, then restart.")
    kind = _file_system(file, Path("/proc/mounts"))
    if kind.startswith(_OF_NETWORK) or kind.removeprefix("fuse.").startswith(_OF_NETWORK):
        said = f"SQLite's file lies on a network file system ({kind}), where locks don't hold."
        return wrong("Database", said, "Move it to a local disk, or use PostgreSQL.")
    return ok("Database", "SQLite answers, can be written to, and lies on a local disk (WAL).")


def _file_system(file: Path, mounts: Path) -> str:
    """Give the kind of file system that holds *file*; "" where nobody says."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    place = os.path.realpath(file)
    # Of two mounts at one place, the later one is seen.
    held = [
        (len(parts[1]), position, parts[2])
        for position, parts in enumerate(lines)
        if len(parts) > 2 and _is_under(place, parts[1].replace("\\040", " "))
    ]
    return max(held)[2] if held else ""


def _is_under(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder.rstrip("/") + "/")
