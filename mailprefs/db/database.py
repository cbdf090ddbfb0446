"""Engine and transactions: the only place that begins, commits and rolls back.

The edge opens a transaction (``with db.transaction() as session:``); nouns take the session and
never commit. **The gate** orders permissions against their use: whatever takes a permission away
(an opt-out, a refusal, a suppression, a pause, an erasure) opens its transaction with
``Gate.TAKING``; whatever acts on permissions (a claim, the ingest of opens) with ``Gate.USING``.
So a claim either commits before an opt-out begins or sees it. Lock order: gate, ledger head, rows.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.orm import Session, sessionmaker

from mailprefs.db.kept import Kept
from mailprefs.db.together import Gives, Together, Wants
from mailprefs.db.turnstile import Turnstile
from mailprefs.errors import BadSetting, StoreUnavailable
from mailprefs.journal import Journal, Refusal

_GATE_HELD = "mailprefs_gate"
_REFUSALS = "mailprefs_refusals"
# Any fixed number of our own: the gate's key among PostgreSQL's advisory locks.
_GATE = 7_311_826
_BUSY_SECONDS = 5
# A process has as many threads that answer; more may come for a while. They are made when needed.
_CONNECTIONS = 32
# Nobody holds the gate longer than this.
_CUT_MILLISECONDS = 50
# PostgreSQL's defaults make a generic plan that reads all of recipients for each batch: measured
# 17 ms against 3 ms for the eligibility of 500 people.
_POSTGRESQL_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
        "random_page_cost": "1.1",
        "statement_timeout": "60s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
    }.items()
)

_COUNT: Final = Kept(text("UPDATE instance SET refusals = refusals + :n RETURNING refusals"))


class Gate(Enum):
    """How a transaction stands to people's permissions."""

    NONE = "none"
    USING = "using"
    TAKING = "taking"


class Database:
    """One database, SQLite or PostgreSQL; threads and processes may share it."""

    def __init__(self, url: str, journal: Journal | None = None) -> None:
        """Prepare the engine; nothing is connected yet.

        Refusals (``refused``) are also written to *journal*, before anybody is answered.

        :raises BadSetting: for a URL that is neither SQLite (a file) nor PostgreSQL.
        """
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.journal = journal
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._taking = Together(partial(self.transaction, Gate.TAKING))
        self._seeing = Together(self.reading)
        self._turnstile: Turnstile | None = None
        if self.is_sqlite:
            path = Path(str(self.engine.url.database))
            path.parent.mkdir(parents=True, exist_ok=True)
            _make_private(path)
            self._turnstile = Turnstile(path)

    @contextmanager
    def transaction(self, gate: Gate = Gate.NONE, *, durable: bool = True) -> Iterator[Session]:
        """Give a session that commits at the end of the block, or rolls back on any error.

        Unless *durable*, a power cut may take the commit back (never half of it, and never one
        after it that is durable): for what can be done or found out again, it saves the disk's
        time. A killed process loses nothing either way.

        :raises StoreUnavailable: when the database can't be reached or stays locked; and when what
            was committed can't be written to the journal, so that nobody is told that it holds.
        """
        refusals: list[Refusal] = []
        seq = 0
        with self._writing(gate), _told(), self._sessions() as session, session.begin():
            writes = "durable" if durable else "soon"
            session.connection(execution_options={"mailprefs_writes": writes})
            self._pass_gate(session, gate)
            if not durable and not self.is_sqlite:
                session.execute(text("SET LOCAL synchronous_commit = off"))
            session.info[_GATE_HELD] = gate
            session.info[_REFUSALS] = refusals
            yield session
            if refusals and self.journal is not None:
                seq = _numbered(session, len(refusals))
        # Behind the gate and the commit: the disk's time is nobody else's.
        if self.journal is not None and (refusals or gate is Gate.TAKING):
            self.journal.append(seq, refusals)

    def taking(self, do: Callable[[Session, list[Wants]], Sequence[Gives]], what: Wants) -> Gives:
        """Run *do* on *what* in a transaction with ``Gate.TAKING``; give what came of it.

        Threads that come at the same moment share one: see ``Together.run`` for what *do* may do.

        :raises StoreUnavailable: as ``transaction`` does.
        """
        return self._taking.run(do, what)

    def seeing(self, do: Callable[[Session, list[Wants]], Sequence[Gives]], what: Wants) -> Gives:
        """Ask *do* of *what*, of a state no older than the call; shared as ``taking`` is.

        :raises StoreUnavailable: as ``reading`` does.
        """
        return self._seeing.run(do, what)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session on one consistent view, for reading only; never waits for a writer.

        :raises StoreUnavailable: when the database can't be reached.
        """
        with _told(), self._sessions() as session:
            if not self.is_sqlite:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                session.execute(text("SET TRANSACTION READ ONLY"))
            yield session
            session.expunge_all()  # what was read stays readable after the block
            session.rollback()

    def checkpoint(self) -> None:
        """Move SQLite's write-ahead log into the file, outside the writer lock; else nothing."""
        if self.is_sqlite:
            with _told(), self.engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)").close()

    def scrub(self, tables: Sequence[str]) -> bool:
        """Clean rows that were deleted out of the files; tell whether that is done.

        SQLite has overwritten them (``secure_delete``), and its log is cut to nothing: not while
        somebody reads from it, so it may have to be tried again. PostgreSQL vacuums *tables*; what
        its log and its backups hold ages out as docs/erasure.md says.

        :raises StoreUnavailable: when the database can't be reached.
        """
        with _told(), self.engine.connect() as plain:
            if self.is_sqlite:
                return _cut_log(plain)
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("SET statement_timeout = 0"))
            try:
                for table in tables:
                    connection.execute(text(f'VACUUM (ANALYZE FALSE) "{table}"'))
            finally:
                connection.execute(text("RESET statement_timeout"))
        return True

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _writing(self, gate: Gate) -> AbstractContextManager[None]:
        if self._turnstile is None:
            return nullcontext()
        return self._turnstile.writing(choice=gate is Gate.TAKING)

    def _pass_gate(self, session: Session, gate: Gate) -> None:
        """Take the gate as the transaction's first statement; on SQLite every write is the gate."""
        if self.is_sqlite or gate is Gate.NONE:
            return
        kind = "pg_advisory_xact_lock" if gate is Gate.TAKING else "pg_advisory_xact_lock_shared"
        session.execute(text(f"SELECT {kind}({_GATE})"))


def require_taking(session: Session) -> None:
    """Make sure that a transaction which takes a permission away was opened as such.

    :raises RuntimeError: for any other: its commit would not hold for a claim in progress.
    """
    if session.info.get(_GATE_HELD) is not Gate.TAKING:
        msg = "This takes a permission away: open its transaction with Gate.TAKING."
        raise RuntimeError(msg)


def refused(session: Session, refusal: Refusal) -> None:
    """Have a refusal written to the journal once it is committed."""
    session.info[_REFUSALS].append(refusal)


def _numbered(session: Session, n: int) -> int:
    """Give the last number of *n* more refusals; the journal's lines have the same."""
    session.flush()
    ((seq,),) = _COUNT.rows(session, {"n": n})
    number: int = seq
    return number


def _engine(url: str) -> Engine:
    """Make the engine for *url* with what each database needs on every connection."""
    try:
        parsed = make_url(url)
    except Exception as error:
        msg = "MAILPREFS_DATABASE_URL isn't a database URL; sqlite:///FILE or postgresql://..."
        raise BadSetting(msg) from error
    backend = parsed.get_backend_name()
    # Parameters hold people's data; an error's text never does.
    if backend == "postgresql":
        return create_engine(
            parsed,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=_CONNECTIONS,
            connect_args={"options": _POSTGRESQL_OPTIONS, "connect_timeout": 10},
        )
    if backend != "sqlite" or parsed.database in {None, "", ":memory:"}:
        msg = "MAILPREFS_DATABASE_URL must be sqlite:///FILE or postgresql://USER@HOST/NAME."
        raise BadSetting(msg)
    engine = create_engine(
        parsed,
        hide_parameters=True,
        pool_size=_CONNECTIONS,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        # The connection that was used last: it has the statements and the pages at hand.
        pool_use_lifo=True,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _cut_log(connection: Connection) -> bool:
    """Move SQLite's log into the file and cut it to nothing; False if somebody was in the way.

    Most of it is moved before anybody has to wait; those who write then wait a moment at most.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
    driver.execute(f"PRAGMA busy_timeout={_CUT_MILLISECONDS}").close()
    try:
        busy, *_ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        driver.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1_000}").close()
    return not busy


def _make_private(path: Path) -> None:
    """Make a new database's file readable by its owner only; SQLite gives its log the same mode.

    What stands in the way of it is told when the database is first used.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    """Set what SQLite keeps per connection; FULL, because a 2xx to an opt-out is a promise."""
    del record
    connection.isolation_level = None  # SQLAlchemy's "begin" event emits BEGIN, not the driver
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "temp_store=MEMORY",
        "cache_size=-65536",
        # Checkpoints run in a thread of their own (Database.checkpoint); this is the net below.
        "wal_autocheckpoint=65536",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin a writer with the write lock in hand, so that nothing it reads can change."""
    # Said to the driver: a campaign begins two transactions for each of its batches.
    driver: Any = connection.connection.driver_connection
    writes = connection.get_execution_options().get("mailprefs_writes")
    if writes is None:
        driver.execute("BEGIN").close()
        return
    # Set each time, because the connection's last user may have set the other.
    level = "FULL" if writes == "durable" else "NORMAL"
    driver.execute(f"PRAGMA synchronous={level}").close()
    driver.execute("BEGIN IMMEDIATE").close()


@contextmanager
def _told() -> Iterator[None]:
    """Turn a database that can't be reached or is locked into a sentence without parameters."""
    try:
        yield
    # The driver's own, too: a checkpoint and an import speak to it directly.
    except (OperationalError, NoFreeConnection, sqlite3.OperationalError) as error:
        if "no such" in str(getattr(error, "orig", error)):
            raise
        msg = (
            "The database can't be reached or is busy; nothing was changed. Try again in a moment."
        )
        raise StoreUnavailable(msg) from error
