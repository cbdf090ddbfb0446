"""How fast the pixel's hits become opens, sums and bits, each counted once.

The limit is the bare driver: as many rows into a table of the shape of ``opens``, with its primary
key and nothing else, in the order of arrival and in transactions as large and as durable as ours:
``executemany`` on SQLite, binary ``COPY`` on PostgreSQL. Nothing is read, judged, added up or
remembered there. Ours goes from the spool on disk to committed rows, as the service does it. Opens
a second are rows that came of it, not hits that were read.

    benchmarks/ingest.py [--quick] [--hits N] [--deliveries N] [--repeat N] [--batch N]
                         [--only sqlite|postgres]
"""

import gc
import random
import sqlite3
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import event, text

from benchmarks.measure.installation import prepare
from benchmarks.measure.mailed import Mailed, fill
from benchmarks.measure.postgresql import fresh_database, postgresql
from benchmarks.measure.runs import interleaved, options, percentile, ratio, report, say
from mailprefs.db.database import Database
from mailprefs.jobs.dispatch import COLLECTING
from mailprefs.jobs.ingest import BATCH, Ingest
from mailprefs.spool import Record, Spool
from mailprefs.useragents import RULESET, Client, OpenKind, Reason

FLOORS = {"sqlite": 0.12, "postgres": 0.12}
RATES = {"sqlite": 30_000, "postgres": 15_000}
_NEWEST_SHARE = 0.9
_TYPES = ["int8", "int2", "int2", "int2", "int4", "timestamptz", "varchar", "int2"]
_SEED = 20_270_328
# Who fetches, of a hundred: kind, reason, client, and whether its place is known.
_FETCHERS = (
    (45, OpenKind.PROXIED, Reason.IMAGE_PROXY, Client.GMAIL, False),
    (5, OpenKind.PROXIED, Reason.IMAGE_PROXY, Client.YAHOO, False),
    (28, OpenKind.PREFETCHED, Reason.APPLE_PRIVACY, Client.APPLE_MAIL, False),
    (9, OpenKind.DIRECT, Reason.MAIL_CLIENT, Client.OUTLOOK, True),
    (4, OpenKind.DIRECT, Reason.BROWSER, Client.APPLE_MAIL, True),
    (3, OpenKind.DIRECT, Reason.BROWSER, Client.BROWSER, True),
    (1, OpenKind.DIRECT, Reason.MAIL_CLIENT, Client.THUNDERBIRD, True),
    (3, OpenKind.SCANNER, Reason.SCANNER_NAMED, Client.UNKNOWN, False),
    (1, OpenKind.BOT, Reason.HTTP_LIBRARY, Client.UNKNOWN, False),
    (1, OpenKind.UNKNOWN, Reason.AMBIGUOUS, Client.UNKNOWN, False),
)
# The first ones have most people, as in life.
_COUNTRIES = tuple(
    "DE US FR GB AT CH NL PL IT ES BE SE DK NO FI CZ PT IE HU RO GR BG HR SK SI EE LV LT LU MT "
    "CA AU NZ JP IN BR MX ZA TR UA".split()
)


def hits(mailed: Mailed, newest: int, count: int) -> list[Record]:
    """Make up what comes in while one campaign is the newest; most of it is about that one."""
    draw = random.Random(_SEED + newest)
    weights = [fetcher[0] for fetcher in _FETCHERS]
    places = [1 / (rank + 1) for rank in range(len(_COUNTRIES))]
    people = mailed.of(newest)
    first_ms = int(mailed.sent_at.timestamp() * 1_000)
    step = (2 * 3_600_000) / count
    found = []
    for number in range(count):
        if draw.random() < _NEWEST_SHARE:
            subject = (newest << 32) + draw.randrange(people) + 1
        else:
            campaign = draw.choice(mailed.older)
            subject = (campaign << 32) + draw.randrange(mailed.of(campaign)) + 1
        _, kind, reason, client, is_placed = draw.choices(_FETCHERS, weights)[0]
        country = draw.choices(_COUNTRIES, places)[0] if is_placed else None
        at_ms = first_ms + int(number * step)
        found.append(Record(subject, False, at_ms, kind, reason, client, country, RULESET))
    return found


def as_rows(records: Sequence[Record], seen: set[tuple[int, int]]) -> list[tuple[Any, ...]]:
    """Give the rows of ``opens`` that hits come to beyond those *seen*, in the order of arrival."""
    first: dict[tuple[int, int], Record] = {}
    for one in records:
        if (one.subject, one.kind) not in seen:
            first.setdefault((one.subject, one.kind), one)
    seen.update(first)
    return [
        (
            one.subject,
            int(one.kind),
            int(one.reason),
            one.ruleset,
            1,
            one.at.replace(second=0, microsecond=0),
            one.country,
            int(one.client),
        )
        for one in first.values()
    ]


class Installation:
    """One database with millions of deliveries, and its limit."""

    def __init__(self, name: str, url: str, folder: Path, batch: int) -> None:
        """Use the empty database at *url*; hits come in *folder*, *batch* at once at most."""
        self.name = name
        self._batch = batch
        self.url = url
        self._folder = folder
        prepare(url)
        self.db = Database(url)

    def count(self, records: Sequence[Record], name: str) -> float:
        """Write *records* down as the pixel does, and count them; give the seconds of counting."""
        directory = self._folder / f"{self.name}-{name}"
        spool = Spool(directory, sync_seconds=None)
        for record in records:
            if not spool.append(record):
                raise SystemExit("The spool refused a hit.")
        spool.close()
        job = Ingest(self.db, directory, lambda: datetime.now(UTC), batch=self._batch)
        self.db.checkpoint()
        gc.collect()
        gc.freeze()
        began = perf_counter()
        if (read := job.drain()) != len(records):
            raise SystemExit(f"{read} of {len(records)} hits were read.")
        return perf_counter() - began

    def check(self, wanted: int) -> None:
        """Stop unless rows, rollup and totals agree, and there are *wanted* opens."""
        with self.db.reading() as session:
            rows, summed, totals, measured = (
                session.execute(text(statement)).scalar()
                for statement in (
                    "SELECT count(*) FROM opens",
                    "SELECT sum(n) FROM open_rollup WHERE dimension = 'hour'",
                    "SELECT sum(n) FROM measured_totals WHERE bits >= 8",
                    "SELECT count(*) FROM measured WHERE bits >= 8",
                )
            )
        if rows != summed or totals != measured or rows != wanted:
            raise SystemExit(
                f"{self.name}: {wanted} opens, {rows} rows, {summed} in the rollup; "
                f"{measured} fetched, {totals} in the totals."
            )


class Sqlite(Installation):
    """A file."""

    def bare(self, rows: Sequence[tuple[Any, ...]]) -> float:
        """Insert *rows* with the driver alone; give the seconds."""
        ready = [(*row[:5], row[5].strftime("%Y-%m-%d %H:%M:%S.%f"), *row[6:]) for row in rows]
        with closing(sqlite3.connect(str(self.db.engine.url.database))) as connection:
            connection.isolation_level = None
            for pragma in ("synchronous=NORMAL", "cache_size=-65536", "wal_autocheckpoint=65536"):
                connection.execute(f"PRAGMA {pragma}")
            shape = connection.execute(
                "SELECT sql FROM sqlite_master WHERE name = 'opens'"
            ).fetchone()[0]
            connection.execute(
                shape.replace("CREATE TABLE opens", "CREATE TABLE IF NOT EXISTS bare_opens")
            )
            began = perf_counter()
            for start in range(0, len(ready), self._batch):
                part = ready[start : start + self._batch]
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT INTO bare_opens VALUES (?,?,?,?,?,?,?,?)", part)
                connection.execute("COMMIT")
            return perf_counter() - began


class Postgresql(Installation):
    """A database of a server."""

    def bare(self, rows: Sequence[tuple[Any, ...]]) -> float:
        """Copy *rows* in with the driver alone; give the seconds."""
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS bare_opens (LIKE opens INCLUDING ALL)")
            cursor.execute("SET synchronous_commit = off")
            connection.commit()
            began = perf_counter()
            for start in range(0, len(rows), self._batch):
                with cursor.copy("COPY bare_opens FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(_TYPES)
                    for row in rows[start : start + self._batch]:
                        copy.write_row(row)
                connection.commit()
            return perf_counter() - began


class Found(NamedTuple):
    """What was measured on one database."""

    ratio: float
    per_second: float
    steps: dict[str, float]
    held_ms: float


def measure(place: Sqlite | Postgresql, mailed: Mailed, count: int, repeat: int) -> Found:
    """Count hits and insert bare rows, in turn; then once more with a clock on each step."""
    runs = iter(mailed.newest)
    rates = []
    rows: list[tuple[Any, ...]] = []
    seen: set[tuple[int, int]] = set()

    def counted() -> float:
        nonlocal rows
        newest = next(runs)
        records = hits(mailed, newest, count)
        rows = as_rows(records, seen)
        seconds = place.count(records, str(newest))
        rates.append(len(rows) / seconds)
        place.check(len(seen))
        return seconds

    say(f"{place.name}: hits to opens against bare rows")
    seconds = interleaved({"opens": counted, "bare rows": lambda: place.bare(rows)}, repeat=repeat)
    found = ratio(seconds, limit="bare rows", ours="opens")
    records = hits(mailed, next(runs), count)
    with timed(place.db) as steps:
        total = place.count(records, "steps")
    told = steps.per_hit(count, total)
    say(f"{place.name}: microseconds a hit, of {total / count * 1e6:.1f}")
    for name, value in told.items():
        say(f"  {name:<28} {value:6.2f}")
    say(f"{place.name}: a batch keeps the gate for {median(steps.held) * 1e3:.1f} ms (median)")
    return Found(found, median(rates), told, percentile(steps.held, 0.95) * 1e3)


class Steps:
    """Where the time of counting goes: by statement, commits, and everything else."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.held: list[float] = []
        self._began = self._gate = 0.0

    def before(self, *_: object) -> None:
        """Note when a statement or a commit begins."""
        self._began = perf_counter()

    def after(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        """Note how long a statement took."""
        self.seconds[_step(statement)] += perf_counter() - self._began
        if "advisory" in statement or "spool_positions" in statement:
            self._gate = self._gate or self._began

    def commit(self, driver: Callable[[Any], None], connection: Any) -> None:  # noqa: ANN401 - the driver's
        """Commit, and note how long that took."""
        began = perf_counter()
        driver(connection)
        self.seconds["commit"] += perf_counter() - began
        if self._gate:
            self.held.append(perf_counter() - self._gate)
        self._gate = 0.0

    def per_hit(self, count: int, total: float) -> dict[str, float]:
        """Give the microseconds a hit of each step, the dearest first, and of what is left."""
        ordered = sorted(self.seconds.items(), key=itemgetter(1), reverse=True)
        listed = {name: seconds / count * 1e6 for name, seconds in ordered}
        return listed | {"python": (total - sum(self.seconds.values())) / count * 1e6}


def _step(statement: str) -> str:
    words = " ".join(statement.split())
    for table in (
        "spool_positions",
        "open_rollup",
        "measured_totals",
        "undecided_opens",
        "silenced_deliveries",
        "INTO opens",
        "UPDATE measured",
        "recipients",
        "hand_overs",
        "advisory",
    ):
        if table in words:
            return f"{words.split(' ', 1)[0].lower()} ... {table}"
    return words[:28]


@contextmanager
def timed(db: Database) -> Iterator[Steps]:
    """Put a clock on the statements and commits of *db*."""
    steps = Steps()
    dialect: Any = db.engine.dialect
    commit = dialect.do_commit
    event.listen(db.engine, "before_cursor_execute", steps.before)
    event.listen(db.engine, "after_cursor_execute", steps.after)
    dialect.do_commit = lambda connection: steps.commit(commit, connection)
    try:
        yield steps
    finally:
        dialect.do_commit = commit
        event.remove(db.engine, "before_cursor_execute", steps.before)
        event.remove(db.engine, "after_cursor_execute", steps.after)


@contextmanager
def tidying(db: Database) -> Iterator[None]:
    """Move SQLite's log into the file now and then, as the service's own thread does."""
    stop = threading.Event()

    def tidy() -> None:
        while not stop.wait(15):
            db.checkpoint()

    thread = threading.Thread(target=tidy, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def installations(
    only: str | None, folder: Path, batch: int
) -> Iterator[list[Sqlite | Postgresql]]:
    """Give the databases to measure, empty."""
    with ExitStack() as stack:
        places: list[Sqlite | Postgresql] = []
        if only in {None, "sqlite"}:
            places.append(Sqlite("sqlite", f"sqlite:///{folder / 'mailprefs.db'}", folder, batch))
        if only in {None, "postgres"}:
            server = stack.enter_context(postgresql(folder / "pg"))
            places.append(Postgresql("postgres", fresh_database(server, "counting"), folder, batch))
        for place in places:
            stack.callback(place.db.close)
        yield places


def main() -> int:
    """Measure the databases; give 1 if a limit is missed."""
    parser = options("Measure the counting of opens.")
    parser.add_argument("--hits", type=int, help="in each run (200,000; quick: 20,000)")
    parser.add_argument("--deliveries", type=int, help="5,000,000 (quick: 400,000)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each variant (3)")
    parser.add_argument("--batch", type=int, default=BATCH, help="hits in one transaction at most")
    parser.add_argument("--only", choices=["sqlite", "postgres"], help="one database (both)")
    chosen = parser.parse_args()
    count = chosen.hits or (20_000 if chosen.quick else 200_000)
    deliveries = chosen.deliveries or (400_000 if chosen.quick else 5_000_000)
    gc.set_threshold(*COLLECTING)  # as in the service
    ratios: dict[str, float] = {}
    figures: dict[str, float] = {"deliveries": deliveries, "hits": count}
    missed = []
    with (
        tempfile.TemporaryDirectory(prefix="mailprefs-ingest-") as name,
        installations(chosen.only, Path(name), chosen.batch) as places,
    ):
        for place in places:
            began = perf_counter()
            mailed = fill(place.db, deliveries, newest=chosen.repeat + 1)
            say(
                f"{place.name}: {deliveries:,} deliveries made up in {perf_counter() - began:.0f} s"
            )
            with tidying(place.db):
                found = measure(place, mailed, count, chosen.repeat)
            ratios[place.name] = found.ratio
            figures[f"{place.name}_per_second"] = round(found.per_second)
            figures[f"{place.name}_held_p95_ms"] = round(found.held_ms, 1)
            figures |= {f"{place.name}_us {k}": round(v, 2) for k, v in found.steps.items()}
            if found.ratio < FLOORS[place.name]:
                missed.append(f"{place.name} reaches {found.ratio}; the floor is 0.12.")
            if found.per_second < RATES[place.name]:
                missed.append(
                    f"{place.name} counts {found.per_second:.0f} a second; on free cores it "
                    f"should be {RATES[place.name]}."
                )
    return report("ingest", ratios, figures, missed=missed, is_quick=chosen.quick)


if __name__ == "__main__":
    sys.exit(main())
