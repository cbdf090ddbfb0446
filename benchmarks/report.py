"""How long the database works for one campaign's report, after a million and ten million opens.

The campaigns lie in one database, with a row of ``opens`` and of ``measured`` for each person who
opened, so that a report which read rows would take ten times as long for the larger one. What is
timed is every statement of the report, sent once more through the driver and read to its end.
Printed beside it: the same for making the numbers anew, which happens once a day.

    benchmarks/report.py [--quick] [--repeat N] [--only sqlite|postgres]
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from benchmarks.measure.installation import TOPIC, prepare
from benchmarks.measure.postgresql import fresh_database, postgresql
from benchmarks.measure.runs import interleaved, options, report, say
from mailprefs.db.database import Database
from mailprefs.opens import APPLE, DELIVERED, FETCHED, HUMAN
from mailprefs.reports import counted, releases
from mailprefs.reports.campaigns import find
from mailprefs.reports.campaigns import report as make_report
from mailprefs.reports.cells import USUAL
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.events import MailboxTotal
from mailprefs.schema.opens import MeasuredTotal, OpenRollup
from mailprefs.schema.people import Topic

SMALL, LARGE = 1_000_000, 10_000_000
MOST_GROWTH = 2.0
MOST_MILLISECONDS = 1.0
TURNS = 50
"""Reports in one run; their median is its time."""
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BEGUN = NOW - timedelta(days=80)
_SERIES_SQLITE = (
    "WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < :n) SELECT {} FROM s"
)
_SERIES_POSTGRESQL = "SELECT {} FROM generate_series(1, :n) AS g"


class Statement(NamedTuple):
    """One statement as the driver was given it."""

    sql: str
    values: Any


class Store:
    """One database with a campaign of each size."""

    def __init__(self, name: str, url: str, *, is_quick: bool) -> None:
        """Fill the empty database at *url*; quickly, with opens only."""
        self.name = name
        self._is_quick = is_quick
        prepare(url)
        self._db = Database(url)
        self.numbers: dict[int, int] = {}
        for opens in (SMALL, LARGE):
            begun = time.monotonic()
            self.numbers[opens] = self._fill(opens)
            say(f"  {name}: a campaign of {opens:,} opens, {time.monotonic() - begun:.0f} s")
        with self._db.engine.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.commit()

    def seconds(self, opens: int, ask: Callable[[Session, int], object]) -> float:
        """Give how long the database works for what *ask* asks of one campaign, by the median."""
        with self._db.reading() as session, _heard(self._db) as statements:
            ask(session, self.numbers[opens])
        with self._db.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            return median(_timed(driver, statements) for _ in range(TURNS))

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _fill(self, opens: int) -> int:
        """Store a campaign that so many people opened, twice as many having got it."""
        with self._db.transaction() as session:
            topic = session.scalars(select(Topic).where(Topic.slug == TOPIC)).one()
            campaign = Campaign(
                topic_id=topic.id,
                message_class=topic.message_class,
                name=f"{opens:,} opens",
                state=CampaignState.FINISHED,
                standing=False,
                revision=1,
                report_zone="Europe/Berlin",
                created_at=BEGUN,
                first_hand_over_at=BEGUN,
                frozen_to=0,
                chosen=0,
                frozen=0,
            )
            session.add(campaign)
            session.flush()
            self._add_rows(session, campaign.id, opens)
            _add_sums(session, campaign.id, opens)
        with self._db.transaction() as session:
            releases.refresh(session, find(session, campaign.id), now=NOW, rule=USUAL)
        self._db.checkpoint()
        return campaign.id

    def _add_rows(self, session: Session, number: int, opens: int) -> None:
        series = _SERIES_SQLITE if self._db.is_sqlite else _SERIES_POSTGRESQL
        # A campaign's first day gets as many opens as all later ones.
        rows = series.format(":first + g, 1, 10, 1, 1, :at, NULL, g % 7 + 1")
        at = BEGUN if not self._db.is_sqlite else BEGUN.strftime("%Y-%m-%d %H:%M:%S.%f")
        values = {"n": opens, "first": number << 32}
        session.execute(text(f"INSERT INTO opens {rows}"), values | {"at": at})
        if self._is_quick:
            return
        session.execute(
            text(f"INSERT INTO measured {series.format(':first + g, 13')}"),
            values,
        )


def _add_sums(session: Session, number: int, opens: int) -> None:
    """Store the sums of these rows: all bits, and 80 days of hours in every kind."""
    for bits in range(16):
        session.add(MeasuredTotal(campaign_id=number, bits=bits, n=opens // 16))
    human = DELIVERED | HUMAN | FETCHED
    session.flush()
    session.merge(MeasuredTotal(campaign_id=number, bits=DELIVERED, n=opens))
    session.merge(MeasuredTotal(campaign_id=number, bits=DELIVERED | APPLE, n=opens // 2))
    session.merge(MeasuredTotal(campaign_id=number, bits=human, n=opens // 2))
    for word in ("queued", "delivered", "deferred", "bounced", "unsubscribed"):
        session.add(MailboxTotal(campaign_id=number, event=word, n=opens * 3))
    sums = {"hour": {}, "country": {}, "client": {}}  # type: dict[str, dict[str, int]]
    for hour in range(80 * 24):
        when = BEGUN + timedelta(hours=hour)
        sums["hour"][when.strftime("%Y-%m-%dT%H")] = opens // (hour + 4) // 8
    total = sum(sums["hour"].values())
    sums["country"] = {f"{chr(65 + n % 26)}{chr(65 + n // 26)}": total // 200 for n in range(150)}
    sums["client"] = {str(n): total // 8 for n in range(8)}
    session.add_all(
        OpenRollup(campaign_id=number, dimension=dimension, value=value, kind=kind, n=n)
        for dimension, counts in sums.items()
        for value, n in counts.items()
        for kind in range(1, 6)
    )


@contextmanager
def _heard(db: Database) -> Iterator[list[Statement]]:
    """Give the list of every statement that the driver is given meanwhile."""
    statements: list[Statement] = []

    def hear(*given: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
        _, _, sql, values, *_ = given
        statements.append(Statement(sql, values))

    event.listen(db.engine, "before_cursor_execute", hear)
    yield statements
    event.remove(db.engine, "before_cursor_execute", hear)


def _timed(driver: Any, statements: list[Statement]) -> float:  # noqa: ANN401 - a driver's connection
    """Run the statements and read their answers; give the seconds."""
    cursor = driver.cursor()
    begun = time.perf_counter()
    for statement in statements:
        cursor.execute(statement.sql, statement.values)
        cursor.fetchall()
    return time.perf_counter() - begun


def _report(session: Session, number: int) -> object:
    return make_report(session, number, now=NOW)


def main() -> int:
    """Measure on both databases, with ``--quick`` on SQLite."""
    parser = options(__doc__ or "")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    given = parser.parse_args()
    names = [given.only] if given.only else ["sqlite"] if given.quick else ["sqlite", "postgres"]
    growths: list[float] = []
    figures: dict[str, float] = {}
    for name in names:
        growth, milliseconds, anew = _measured(name, given.repeat, is_quick=given.quick)
        growths.append(growth)
        figures |= {f"{name}_ms_10m": milliseconds, f"{name}_release_ms_10m": anew}
    ratios = {"growth": max(growths)}
    figures["ms_10m"] = max(figures[f"{name}_ms_10m"] for name in names)
    missed = []
    if ratios["growth"] > MOST_GROWTH:
        missed.append(f"a report grows {ratios['growth']} times from a million opens to ten")
    if figures["ms_10m"] >= MOST_MILLISECONDS:
        missed.append(f"a report of ten million opens takes {figures['ms_10m']} ms")
    return report("report", ratios, figures, missed=missed, is_quick=given.quick)


def _measured(name: str, repeat: int, *, is_quick: bool) -> tuple[float, float, float]:
    """Give growth, milliseconds at ten million, and those of making the numbers anew."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder / 'report.db'}"
        if name == "postgres":
            url = fresh_database(stack.enter_context(postgresql(folder)), "report")
        store = Store(name, url, is_quick=is_quick)
        stack.callback(store.close)
        seconds = interleaved(
            {
                "1,000,000 opens": lambda: store.seconds(SMALL, _report),
                "10,000,000 opens": lambda: store.seconds(LARGE, _report),
                "numbers made anew": lambda: store.seconds(LARGE, counted.sums),
            },
            repeat=repeat,
        )
    small, large, anew = (median(values) for values in seconds.values())
    say(f"  {name}: {small * 1000:.3f} ms and {large * 1000:.3f} ms; anew {anew * 1000:.1f} ms")
    return round(large / small, 3), round(large * 1000, 3), round(anew * 1000, 2)


if __name__ == "__main__":
    sys.exit(main())
