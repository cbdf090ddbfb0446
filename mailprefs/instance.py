"""Whether this is the live installation, or a copy or a restored backup of it, which may not send.

Three things have to agree: the name in the database, the same name in a file beside the keys, and
the machine. And the journal of refusals must not know more than the database does: then the
database is older than what people were promised. Whoever meant it so says so
(``mailprefs instance adopt``).
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import delete, event, select, update
from sqlalchemy.orm import Session

from mailprefs.db import dialects
from mailprefs.db.database import Database
from mailprefs.errors import BadFile, Conflict
from mailprefs.journal import Journal
from mailprefs.schema.deliveries import HandOver
from mailprefs.schema.instance import InstanceMachine, InstanceRow
from mailprefs.settings import Settings

FILE: Final = "instance"
LOOK_SECONDS: Final = 0.5
"""How long an answer of the guard holds, while no connection to the database is made anew."""
ADOPT: Final = "mailprefs instance adopt"
JOIN: Final = "mailprefs instance join"
_MACHINE_IDS: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_ROW: Final = 1
_OLDER: Final = (
    "The database is older than the journal of refusals: a backup of it was restored. Nothing is "
    f"sent until somebody has those refusals applied: {ADOPT}"
)
_ANOTHERS: Final = (
    "The database and the data directory aren't of one installation: one of them was copied or "
    f"restored. Nothing is sent from here. If this is to be the one that sends: {ADOPT}; if it is "
    f"one more machine on the same database: {JOIN}"
)
_MOVED: Final = (
    "This machine isn't one that the installation has sent from: it was copied or moved. Nothing "
    f"is sent from here. If the other one is gone: {ADOPT}; if both are to work on the same "
    f"database: {JOIN}"
)


class Place(NamedTuple):
    """What an installation has outside of its database: data directory, journal, machine."""

    data_dir: Path
    journal: Journal
    machine: str

    @property
    def file(self) -> Path:
        """Give the file that holds the installation's name."""
        return self.data_dir / FILE


def place(settings: Settings) -> Place:
    """Give the place of an installation on this machine."""
    return Place(settings.data_dir, Journal(settings.journal_file), machine_number())


def machine_number() -> str:
    """Give 32 characters that stand for this machine and tell nothing of it.

    They are made of ``/etc/machine-id``, which no other machine has; where there is none, of a
    random number that is kept in the home of whoever runs the service.
    """
    for path in _MACHINE_IDS:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return _hashed(text)
    return _hashed(_kept())


def examine(session: Session, place: Place) -> str | None:
    """Give why nothing may be sent from here, in a sentence; None if all is as it should be.

    :raises BadFile: if the journal or the file of the name can't be read.
    """
    # Before the row: a number is written down here only after it was committed there.
    last = place.journal.last()
    row = _row(session)
    if last > row.refusals:
        return _OLDER
    beside = _beside(place)
    if row.name is None:
        return None if beside is None or not _has_sent(session) else _ANOTHERS
    if row.name != beside:
        return _ANOTHERS
    known = select(InstanceMachine).where(InstanceMachine.machine == place.machine)
    return None if session.execute(known).first() else _MOVED


def settle(db: Database, place: Place, *, now: datetime) -> None:
    """Let a new installation know itself; nothing happens where one does, or what is here differs.

    :raises BadFile: as ``examine`` does.
    """
    with db.reading() as session:
        if _row(session).name is not None:
            return
    with _alone(place), db.transaction() as session:
        if _row(session).name is None and examine(session, place) is None:
            _know(session, place, _beside(place) or secrets.token_hex(16), now)


def join(session: Session, place: Place, *, now: datetime) -> None:
    """Let one more machine work on the same, live database; in the edge's transaction.

    :raises Conflict: for a database that isn't live, or a data directory of another installation.
    """
    row = _row(session)
    if place.journal.last() > row.refusals or row.name is None:
        raise Conflict(
            _OLDER if row.name else "The database has no installation yet; run it first."
        )
    if _beside(place) not in {None, row.name}:
        raise Conflict(_ANOTHERS)
    _know(session, place, row.name, now)


def adopt(session: Session, place: Place, *, now: datetime) -> None:
    """Make this the live installation, under a new name: whatever it was copied from is told apart.

    The caller has made up for what the database doesn't know (``jobs.adoption``).
    """
    last = place.journal.last()
    session.execute(delete(InstanceMachine))
    _know(session, place, secrets.token_hex(16), now)
    row = update(InstanceRow).values(adopted_at=now, refusals=max(last, _row(session).refusals))
    session.execute(row)


class Guard:
    """Tells workers at each step whether they may send; safe in all threads."""

    def __init__(self, db: Database, place: Place, clock: Callable[[], datetime]) -> None:
        """Take what is to agree; nothing is asked yet."""
        self._db, self._place, self._clock = db, place, clock
        self._lock = threading.Lock()
        self._asked_at, self._answer = 0.0, ""
        # A database that was put in place of ours had to break our connections.
        event.listen(db.engine, "connect", self._forget)

    def __call__(self, session: Session | None = None) -> str | None:
        """Give why nothing may be sent, or None; by a look that is half a second old at most.

        Within a transaction that is to send, it looks by that one's own connection, which may lead
        to another database than a moment ago.

        :raises StoreUnavailable: when the database can't be reached.
        """
        if session is None:
            with self._lock:
                return self._held(self._ask)
        # No lock: somebody who holds it may wait for this transaction.
        return self._held(lambda: self._examine(session))

    def _held(self, ask: Callable[[], str | None]) -> str | None:
        if time.monotonic() - self._asked_at > LOOK_SECONDS:
            asked_at = time.monotonic()
            self._answer = ask() or ""
            self._asked_at = asked_at
        return self._answer or None

    def _ask(self) -> str | None:
        try:
            settle(self._db, self._place, now=self._clock())
        except BadFile as error:
            return str(error)
        with self._db.reading() as session:
            return self._examine(session)

    def _examine(self, session: Session) -> str | None:
        try:
            return examine(session, self._place)
        except BadFile as error:
            return str(error)

    def _forget(self, *_: object) -> None:
        self._asked_at = 0.0


def refusals_known(session: Session) -> int:
    """Give the number of the newest refusal that the database knows."""
    return _row(session).refusals


def _row(session: Session) -> InstanceRow:
    found = session.get(InstanceRow, _ROW, populate_existing=True)
    if found is None:
        msg = "the row of instance vanished"
        raise RuntimeError(msg)
    return found


def _has_sent(session: Session) -> bool:
    return session.execute(select(HandOver.id).limit(1)).first() is not None


def _know(session: Session, place: Place, name: str, now: datetime) -> None:
    """Write the name down on both sides, and the machine."""
    session.execute(update(InstanceRow).values(name=name))
    machine = dialects.insert(session, InstanceMachine)
    machine = machine.values(machine=place.machine, joined_at=now).on_conflict_do_nothing()
    session.execute(machine)
    place.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = place.file.with_name(f"{FILE}.new")
    new.write_text(f"{name}\n", encoding="ascii")
    new.replace(place.file)


def _beside(place: Place) -> str | None:
    """Give the name in the data directory; None where there is none."""
    try:
        return place.file.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{place.file} can't be read: {type(error).__name__}.") from error


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Let one process of a machine settle at a time."""
    place.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(place.data_dir / f"{FILE}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _kept() -> str:
    """Give this host's own random number, made when it is first asked for."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    path = Path(home).expanduser() / "mailprefs" / "host"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"host.{os.getpid()}")
        new.write_text(secrets.token_hex(16), encoding="ascii")
        new.replace(path)
    return path.read_text(encoding="ascii").strip()


def _hashed(text: str) -> str:
    # systemd asks not to show a machine's number to anybody (machine-id(5)).
    return blake2b(b"mailprefs/machine/v1", key=text.encode()[:64], digest_size=16).hexdigest()
