"""How fast a file of people comes in, how much memory that takes, and who has to wait meanwhile.

The limit is the bare driver: all rows of all tables that the import wrote, in the same order, into
tables of the same shape (their keys and indexes, no foreign keys and no triggers), in one
transaction: ``executemany`` on SQLite, binary ``COPY`` on PostgreSQL. Nothing is read, checked,
normalised, hashed, compared or chained there.

    benchmarks/import.py [--quick] [--rows N] [--repeat N]
"""

# ruff: noqa: N999 - a script is called what it measures; nobody imports it

import json
import random
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg

from benchmarks.measure.installation import prepare
from benchmarks.measure.postgresql import fresh_database, postgresql
from benchmarks.measure.runs import interleaved, options, percentile, ratio, report, say

FLOORS = {"sqlite": 0.15, "postgres": 0.10}
MOST_MEGABYTES = 300
LONGEST_WAIT_MS = 1_000

# All that an import writes a row of for each person or refused line.
TABLES = {
    "recipients": "id",
    "subscriptions": "recipient_id",
    "consent_entries": "seq",
    "import_refusals": "line",
}
_CHUNK = 10_000
_CHILD = Path(__file__).with_name("measure") / "import_child.py"


def write_people(path: Path, rows: int) -> None:
    """Write a file as exports are: mixed case, quotes, umlauts, repetitions, broken lines."""
    draw = random.Random(20_270_328)
    first = ("Anna", "Jürgen", "María", "Zoë", "Łukasz", "Ida", "Noor", "Emma", "Søren", "Chloé")
    last = ("Müller", "O'Neill", "Garcia", "Nowak", "van Dijk", "Rossi", "Lindqvist", "Dupont")
    countries = ("DE", "Germany", "AT", "France", "NL", "US", "GB", "Poland", "Italy", "")
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write("E-Mail-Adresse;Vorname;Nachname;Land;Sprache;Tarif;Kundennummer\r\n")
        for number in range(rows):
            chance = draw.random()
            if chance < 0.002:
                file.write(f"{draw.choice(('no address', 'a@b', '@example.com'))};;;;;;\r\n")
                continue
            who = draw.randrange(number + 1) if chance < 0.007 else number
            name = f"{draw.choice(first)}.{who}".lower().encode("ascii", "ignore").decode()
            address = f"{name}@mail{who % 997}.example.{('com', 'org', 'net')[who % 3]}"
            surname = draw.choice(last)
            file.write(
                f"{address.title() if chance > 0.9 else address};{draw.choice(first)};"
                + (f'"{surname}, jun."' if chance > 0.8 else surname)
                + f";{draw.choice(countries)};de;{draw.choice(('pro', 'free'))};{who}\r\n"
            )


def in_a_process(*arguments: str) -> dict[str, Any]:
    """Run one process of the benchmark to its end; give what it measured of itself."""
    done = subprocess.run(
        [sys.executable, str(_CHILD), *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


class Sqlite:
    """SQLite files in a folder."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        """Keep the files in *folder*."""
        self._folder = folder

    def fresh(self) -> str:
        """Give the URL of an empty database, in place of the one before."""
        self._remove("imported")
        return f"sqlite:///{self._folder / 'imported.db'}"

    def bare(self) -> float:
        """Write what was imported into tables of the same shape; give the seconds of writing."""
        self._remove("bare")
        seconds = 0.0
        imported, target = (self._folder / f"{name}.db" for name in ("imported", "bare"))
        with closing(sqlite3.connect(imported)) as read, closing(sqlite3.connect(target)) as write:
            write.isolation_level = None
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
                write.execute(f"PRAGMA {pragma}")
            _copy_shape(read, write)
            write.execute("BEGIN IMMEDIATE")
            for table, key in TABLES.items():
                cursor = read.execute(f"SELECT * FROM {table} ORDER BY {key}")  # noqa: S608 - our own constants
                marks = ",".join("?" * len(cursor.description))
                while rows := cursor.fetchmany(_CHUNK):
                    began = perf_counter()
                    write.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - our own constants
                    seconds += perf_counter() - began
            began = perf_counter()
            write.execute("COMMIT")
            return seconds + perf_counter() - began

    def _remove(self, name: str) -> None:
        for leftover in self._folder.glob(f"{name}.db*"):
            leftover.unlink()


class Postgresql:
    """Databases of one server."""

    name = "postgres"

    def __init__(self, server: str, folder: Path) -> None:
        """Use *server*, and keep rows on their way in *folder*."""
        self._server = server
        self._folder = folder
        self._url = ""

    def fresh(self) -> str:
        """Give the URL of an empty database, in place of the one before."""
        self._url = fresh_database(self._server, "imported")
        return self._url

    def bare(self) -> float:
        """Write what was imported into tables of the same shape; give the seconds of writing."""
        with psycopg.connect(self._url) as connection, connection.cursor() as cursor:
            for table, key in TABLES.items():
                cursor.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)".encode())
                rows = f"COPY (SELECT * FROM {table} ORDER BY {key}) TO STDOUT (FORMAT BINARY)"  # noqa: S608 - our own constants
                with (self._folder / table).open("wb") as file, cursor.copy(rows.encode()) as copy:
                    file.writelines(copy)
            connection.commit()
            began = perf_counter()
            for table in TABLES:
                target = f"COPY bare_{table} FROM STDIN (FORMAT BINARY)"
                with (
                    (self._folder / table).open("rb") as file,
                    cursor.copy(target.encode()) as copy,
                ):
                    while block := file.read(1 << 20):
                        copy.write(block)
            connection.commit()
            return perf_counter() - began


def measure(place: Sqlite | Postgresql, people: Path, repeat: int) -> tuple[float, float]:
    """Import *people* and write the same bare, in turn; give the ratio and the peak memory."""
    peaks = []

    def imported() -> float:
        url = place.fresh()
        prepare(url)
        run = in_a_process("import", url, str(people))
        peaks.append(run["peak_mb"])
        say(f"  {run['counts']}, {run['peak_mb']:.0f} MB")
        return float(run["seconds"])

    say(f"{place.name}: import against the bare driver")
    seconds = interleaved({"import": imported, "bare driver": place.bare}, repeat=repeat)
    return ratio(seconds, limit="bare driver", ours="import"), max(peaks)


def visit(place: Sqlite | Postgresql, people: Path) -> dict[str, float]:
    """Give how long leaving and looking took while *people* came in, in milliseconds."""
    url = place.fresh()
    prepare(url)
    visitors = subprocess.Popen(
        [sys.executable, str(_CHILD), "visit", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    run = in_a_process("import", url, str(people))
    answer, _ = visitors.communicate("\n")
    waits: dict[str, list[float]] = json.loads(answer)
    say(
        f"{place.name}: {len(waits['opt_out'])} people left and {len(waits['page'])} looked during "
        f"the {run['seconds']:.1f} s of an import"
    )
    return {
        f"{place.name}_{kind}_{figure}_ms": round(value, 1)
        for kind, values in waits.items()
        for figure, value in (("p95", percentile(values, 0.95)), ("max", max(values)))
    }


def main() -> int:
    """Measure both databases; give 1 if a limit is missed."""
    parser = options("Measure imports.")
    parser.add_argument("--rows", type=int, help="people in the file (1,000,000; quick: 20,000)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each variant (3)")
    chosen = parser.parse_args()
    rows = chosen.rows or (20_000 if chosen.quick else 1_000_000)
    ratios, figures = {}, {"rows": float(rows), "peak_mb": 0.0}
    with tempfile.TemporaryDirectory(prefix="mailprefs-import-") as name:
        folder = Path(name)
        people = folder / "people.csv"
        write_people(people, rows)
        say(f"{rows:,} rows, {people.stat().st_size / 1e6:.0f} MB")
        with postgresql(folder / "pg") as server:
            for place in (Sqlite(folder), Postgresql(server, folder)):
                ratios[place.name], peak_mb = measure(place, people, chosen.repeat)
                figures["peak_mb"] = max(figures["peak_mb"], round(peak_mb, 1))
                figures |= visit(place, people)
    return report("import", ratios, figures, missed=_missed(ratios, figures), is_quick=chosen.quick)


def _missed(ratios: dict[str, float], figures: dict[str, float]) -> list[str]:
    slow = [
        f"{name} reaches {ratios[name]} of the bare driver, and the floor is {floor}."
        for name, floor in FLOORS.items()
        if ratios[name] < floor
    ]
    waits = [
        f"{name} is {value:.0f}, and nobody is to wait for {LONGEST_WAIT_MS} ms."
        for name, value in figures.items()
        if name.endswith("_max_ms") and value >= LONGEST_WAIT_MS
    ]
    if figures["peak_mb"] >= MOST_MEGABYTES:
        slow.append(f"An import takes {figures['peak_mb']} MB; the limit is {MOST_MEGABYTES} MB.")
    return slow + waits


def _copy_shape(read: sqlite3.Connection, write: sqlite3.Connection) -> None:
    """Make the measured tables with their keys and indexes, without triggers."""
    for table in TABLES:
        for (statement,) in read.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type <> 'trigger'"
            " AND sql IS NOT NULL ORDER BY type DESC",
            (table,),
        ):
            write.execute(statement)


if __name__ == "__main__":
    sys.exit(main())
