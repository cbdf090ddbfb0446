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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailprefs.sandbox import records
from mailprefs.sandbox.records import Carried, Copy, Message, Received, Search, Summary

_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, status INTEGER, mood TEXT,
  message_id TEXT, recipients INTEGER NOT NULL, accepted INTEGER NOT NULL, bytes INTEGER NOT NULL,
  connection TEXT NOT NULL, shared TEXT, attempt TEXT, began REAL, ended REAL
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
# A store that was made before these columns gets them.
_LATER = {"attempt": "TEXT", "began": "REAL", "ended": "REAL"}
_CARRIED = """
SELECT m.id, m.email, m.class, m.own, r.shared, r.message_id, r.id, r.began, r.ended
FROM messages m JOIN requests r ON r.id = m.request WHERE m.id > ? ORDER BY m.id LIMIT ?
"""
_COUNT = f"{_ALL} {_FOUND}"


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
            known = {row[1] for row in cursor.execute("PRAGMA table_info(requests)")}
            for name in _LATER.keys() - known:
                cursor.execute(f"ALTER TABLE requests ADD COLUMN {name} {_LATER[name]}")

    def keep(self, received: Received, request: Mapping[str, Any]) -> int:
        """Put a request down, and its messages if it was accepted; give the request's number."""
        shared = {name: part for name, part in request.items() if name != "personalizations"}
        with self._writing() as cursor:
            cursor.execute(
                "INSERT INTO requests (at, status, mood, message_id, recipients, accepted, bytes,"
                " connection, shared, attempt, began) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                    received.attempt,
                    received.began_at.timestamp() if received.began_at else None,
                ),
            )
            number = int(cursor.lastrowid or 0)
            if received.accepted:
                cursor.executemany(
                    "INSERT INTO messages (request, email, name, subject, class, own)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    records.rows(number, request),
                )
                cursor.execute("SELECT max(id) FROM messages")
                newest = int(cursor.fetchone()[0] or 0)
                cursor.execute("DELETE FROM messages WHERE id <= ?", (newest - self._most,))
        return number

    def ended(self, number: int, at: datetime) -> None:
        """Put down when a request was answered, or its connection dropped."""
        with self._writing() as cursor:
            cursor.execute("UPDATE requests SET ended = ? WHERE id = ?", (at.timestamp(), number))

    def erase(self, email: str) -> None:
        """Forget the messages of one address."""
        with self._writing() as cursor:
            cursor.execute("DELETE FROM messages WHERE lower(email) = ?", (email.lower(),))

    def carried(self, *, after: int = 0, limit: int = 1_000) -> list[Carried]:
        """List every recipient whose message was accepted, oldest first: who, where, when."""
        return [records.carried(row) for row in self._read(_CARRIED, (after, limit))]

    def message(self, number: int) -> Message | None:
        """Give one message filled in, or None."""
        rows = self._read(_ONE, (number,))
        return records.message(rows[0]) if rows else None

    def messages(self, search: Search, *, limit: int = 1_000) -> list[Message]:
        """List the messages that *search* finds, oldest first, filled in."""
        rows = self._read(_LIST, search.values(limit=limit))
        return [records.message(row) for row in rows]

    def copies(self, request: int) -> list[Copy]:
        """List who gets the messages of one request, as events name them."""
        return [records.copy(row) for row in self._read(f"{_COPY} WHERE m.request = ?", (request,))]

    def copy(self, number: int) -> Copy | None:
        """Give whom one message goes to, as events name them, or None."""
        rows = self._read(f"{_COPY} WHERE m.id = ?", (number,))
        return records.copy(rows[0]) if rows else None

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
            "SELECT id, at, status, mood, message_id, recipients, accepted, bytes, connection,"
            " attempt, began, ended FROM requests WHERE id > ? ORDER BY id LIMIT ?",
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
                attempt=row[9],
                began_at=records.instant(row[10]),
                ended_at=records.instant(row[11]),
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
