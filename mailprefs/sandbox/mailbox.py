"""What the sandbox accepted, in an SQLite file: one row a request, one row a recipient.

A request's content is kept once, and a recipient's own values beside it; a message is filled in
when somebody reads it. So a campaign of thousands costs little, and a second process can look.
"""

import json
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from mailprefs.sandbox.substitutions import fill

_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, status INTEGER, mood TEXT,
  message_id TEXT, recipients INTEGER NOT NULL, accepted INTEGER NOT NULL, bytes INTEGER NOT NULL,
  connection TEXT NOT NULL, shared TEXT
);
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, request INTEGER NOT NULL, email TEXT NOT NULL,
  name TEXT NOT NULL, subject TEXT NOT NULL, class TEXT NOT NULL, own TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_request ON messages (request);
CREATE INDEX IF NOT EXISTS messages_by_email ON messages (email);
"""
_MESSAGE = """
SELECT m.id, m.email, m.name, m.subject, m.class, m.own, r.shared, r.at, r.message_id
FROM messages m JOIN requests r ON r.id = m.request
"""
_ONE = f"{_MESSAGE} WHERE m.id = ?"
_COPY = """
SELECT m.id, m.email, m.own, r.shared, r.message_id
FROM messages m JOIN requests r ON r.id = m.request
"""
_FOUND = """
WHERE m.id > :after AND (:class = '' OR m.class = :class)
  AND (:to = '' OR m.email = :to COLLATE NOCASE)
  AND (:words = '' OR holds(m.email || ' ' || m.name || ' ' || m.subject, :words))
"""
_LIST = f"{_MESSAGE} {_FOUND} ORDER BY m.id LIMIT :limit"
_SUMMARY = """
SELECT m.id, r.at, m.email, m.name, m.subject, m.class
FROM messages m JOIN requests r ON r.id = m.request
"""
_SUMMARIES = f"{_SUMMARY} {_FOUND} ORDER BY m.id DESC LIMIT :limit OFFSET :skip"
_ALL = "SELECT count(*) FROM messages m"
_COUNT = f"{_ALL} {_FOUND}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as its recipient gets it, every tag filled in."""

    id: int
    message_id: str
    accepted_at: datetime
    email: str
    name: str
    from_email: str
    from_name: str
    reply_to: str
    subject: str
    text: str
    html: str
    message_class: str
    headers: Mapping[str, str]
    custom_args: Mapping[str, str]
    substitutions: Mapping[str, str]
    mail_settings: Mapping[str, Any]
    tracking_settings: Mapping[str, Any]
    ip_pool: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One message in a list."""

    id: int
    accepted_at: datetime
    email: str
    name: str
    subject: str
    message_class: str


class Copy(NamedTuple):
    """What an event says of one message."""

    id: int
    message_id: str
    email: str
    custom_args: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that came in.

    *status* None means that the connection was dropped unanswered; *connection* tells kept
    connections apart; *accepted* counts recipients, all of the request's or none.
    """

    at: datetime
    status: int | None
    mood: str | None
    message_id: str | None
    recipients: int
    accepted: int
    bytes: int
    connection: str
    id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to list: words in address, name or subject, one class, and from where on."""

    words: str = ""
    message_class: str = ""
    to: str = ""
    after: int = 0

    def values(self, **more: int) -> dict[str, object]:
        """Give the values of the statement that searches."""
        return {
            "words": self.words.strip().lower(),
            "class": self.message_class,
            "to": self.to,
            "after": self.after,
            **more,
        }


class Mailbox:
    """The mail of one sandbox; safe to share between threads."""

    def __init__(self, path: Path | None, keep: int) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if path is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="mailprefs-sandbox-")
            path = Path(self._temporary.name) / "mail.sqlite"
        self._most = keep
        self._lock = threading.Lock()
        self._store = sqlite3.connect(
            path, check_same_thread=False, isolation_level=None, timeout=30
        )
        self._store.create_function("holds", 2, _holds, deterministic=True)
        with self._lock, closing(self._store.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.executescript(_TABLES)

    def keep(self, received: Received, request: Mapping[str, Any]) -> int:
        """Put a request down, and its messages if it was accepted; give the request's number."""
        shared = {name: part for name, part in request.items() if name != "personalizations"}
        with self._writing() as cursor:
            cursor.execute(
                "INSERT INTO requests (at, status, mood, message_id, recipients, accepted, bytes,"
                " connection, shared) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    received.at.timestamp(),
                    received.status,
                    received.mood,
                    received.message_id,
                    received.recipients,
                    received.accepted,
                    received.bytes,
                    received.connection,
                    json.dumps(shared) if received.accepted else None,
                ),
            )
            number = int(cursor.lastrowid or 0)
            if received.accepted:
                cursor.executemany(
                    "INSERT INTO messages (request, email, name, subject, class, own)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    _rows(number, request),
                )
                cursor.execute("SELECT max(id) FROM messages")
                newest = int(cursor.fetchone()[0] or 0)
                cursor.execute("DELETE FROM messages WHERE id <= ?", (newest - self._most,))
        return number

    def message(self, number: int) -> Message | None:
        """Give one message filled in, or None."""
        rows = self._read(_ONE, (number,))
        return _message(rows[0]) if rows else None

    def messages(self, search: Search, *, limit: int = 1_000) -> list[Message]:
        """List the messages that *search* finds, oldest first, filled in."""
        rows = self._read(_LIST, search.values(limit=limit))
        return [_message(row) for row in rows]

    def copies(self, request: int) -> list[Copy]:
        """List who gets the messages of one request, as events name them."""
        return [_copy(row) for row in self._read(f"{_COPY} WHERE m.request = ?", (request,))]

    def copy(self, number: int) -> Copy | None:
        """Give whom one message goes to, as events name them, or None."""
        rows = self._read(f"{_COPY} WHERE m.id = ?", (number,))
        return _copy(rows[0]) if rows else None

    def summaries(self, search: Search, *, limit: int, skip: int) -> list[Summary]:
        """List what *search* finds, newest first, without the bodies."""
        rows = self._read(_SUMMARIES, search.values(limit=limit, skip=skip))
        return [
            Summary(
                id=number,
                accepted_at=datetime.fromtimestamp(at, UTC),
                email=email,
                name=name,
                subject=subject,
                message_class=message_class,
            )
            for number, at, email, name, subject, message_class in rows
        ]

    def count(self, search: Search) -> int:
        """Count the messages that *search* finds."""
        rows = self._read(_COUNT, search.values())
        return int(rows[0][0])

    def classes(self) -> list[tuple[str, int]]:
        """Count the messages of each class."""
        return self._read("SELECT class, count(*) FROM messages GROUP BY class ORDER BY class", ())

    def neighbours(self, number: int) -> tuple[int | None, int | None]:
        """Give the next newer and the next older message."""
        rows = self._read(
            "SELECT (SELECT min(id) FROM messages WHERE id > ?),"
            " (SELECT max(id) FROM messages WHERE id < ?)",
            (number, number),
        )
        newer, older = rows[0]
        return newer, older

    def requests(self, *, after: int = 0, limit: int = 1_000) -> list[Received]:
        """List the requests that came in, oldest first, refused and dropped ones too."""
        rows = self._read(
            "SELECT id, at, status, mood, message_id, recipients, accepted, bytes, connection"
            " FROM requests WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [
            Received(
                id=row[0],
                at=datetime.fromtimestamp(row[1], UTC),
                status=row[2],
                mood=row[3],
                message_id=row[4],
                recipients=row[5],
                accepted=row[6],
                bytes=row[7],
                connection=row[8],
            )
            for row in rows
        ]

    def accepted(self) -> int:
        """Count every recipient that was ever accepted, whether the client heard of it or not."""
        return int(self._read("SELECT coalesce(sum(accepted), 0) FROM requests", ())[0][0])

    def empty(self) -> None:
        """Forget all messages and requests; numbers go on."""
        with self._writing() as cursor:
            cursor.execute("DELETE FROM messages")
            cursor.execute("DELETE FROM requests")

    def close(self) -> None:
        """Close the store, and remove it if it was for this sandbox only."""
        with self._lock:
            self._store.close()
        if self._temporary:
            self._temporary.cleanup()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        with self._lock, closing(self._store.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def _read(self, statement: str, values: Sequence[object] | Mapping[str, object]) -> list[Any]:
        with self._lock, closing(self._store.cursor()) as cursor:
            return cursor.execute(statement, values).fetchall()


def _holds(text: str, words: str) -> bool:
    """Tell whether *text* holds each of the (lower-case) words somewhere."""
    lowered = text.lower()
    return all(word in lowered for word in words.split())


def _rows(number: int, request: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    """Give a row for each recipient: each entry of to, cc and bcc gets a message of its own."""
    shared_args = request.get("custom_args", {})
    for person in request["personalizations"]:
        args = {**shared_args, **person.get("custom_args", {})}
        subject = fill(
            person.get("subject") or request.get("subject", ""), person.get("substitutions", {})
        )
        own = {name: part for name, part in person.items() if name not in {"to", "cc", "bcc"}}
        for entry in (*person["to"], *person.get("cc", ()), *person.get("bcc", ())):
            name, message_class = entry.get("name", ""), args.get("mp_class", "")
            yield number, entry["email"], name, subject, message_class, json.dumps(own)


@lru_cache(maxsize=32)
def _shared(text: str) -> Mapping[str, Any]:
    shared: Mapping[str, Any] = json.loads(text)
    return shared


def _copy(row: tuple[Any, ...]) -> Copy:
    number, email, own, shared, message_id = row
    args = {**_shared(shared).get("custom_args", {}), **json.loads(own).get("custom_args", {})}
    return Copy(number, message_id, email, args)


def _message(row: tuple[Any, ...]) -> Message:
    number, email, name, subject, message_class, own_text, shared_text, at, message_id = row
    own, shared = json.loads(own_text), _shared(shared_text)
    pairs = own.get("substitutions", {})
    parts = {part["type"]: part["value"] for part in shared.get("content", ())}
    sender = own.get("from", shared["from"])
    return Message(
        id=number,
        message_id=message_id,
        accepted_at=datetime.fromtimestamp(at, UTC),
        email=email,
        name=name,
        from_email=sender["email"],
        from_name=sender.get("name", ""),
        reply_to=fill(shared.get("reply_to", {}).get("email", ""), pairs),
        subject=subject,
        text=fill(parts.get("text/plain", ""), pairs),
        html=fill(parts.get("text/html", ""), pairs),
        message_class=message_class,
        headers={**shared.get("headers", {}), **own.get("headers", {})},
        custom_args={**shared.get("custom_args", {}), **own.get("custom_args", {})},
        substitutions=pairs,
        mail_settings=shared.get("mail_settings", {}),
        tracking_settings=shared.get("tracking_settings", {}),
        ip_pool=shared.get("ip_pool_name"),
    )
