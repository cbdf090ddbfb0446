"""How fast a campaign leaves the house, from due to finished, every person accounted for.

The limit builds and posts the same bodies through the same adapter, with no database: its people
are in memory before it begins. The campaign is frozen, claimed in batches of 500 with everybody
asked about again, built, posted, and recorded, with one process and with two. And against the way
that the vendor's client suggests: one call for each person. All post to a sink on this machine.

    benchmarks/send.py [--quick] [--people N] [--repeat N] [--only sqlite|postgres]
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sqlalchemy import insert, select

from benchmarks.measure.installation import HASHER, TOPIC, prepare
from benchmarks.measure.postgresql import fresh_database, postgresql
from benchmarks.measure.runs import interleaved, options, ratio, report, say
from mailprefs.db.database import Database
from mailprefs.deliveries.counts import counts
from mailprefs.policy import AddressOrigin, Choice, Source, SubscriptionState
from mailprefs.rendering.composing import Source as Written
from mailprefs.rendering.composing import compose
from mailprefs.rendering.letterhead import Letterhead
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, SourceFormat
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.people import Recipient, Sender, Subscription, Topic

FLOORS = {
    "sqlite_1": 0.60,
    "sqlite_2": 0.80,
    "postgres_1": 0.25,
    "postgres_2": 0.38,
    "per_recipient": 50.0,
}
MOST_MEGABYTES = 300
_CHILD = Path(__file__).with_name("measure") / "send_child.py"
_SINK = Path(__file__).with_name("measure") / "sink.py"
_CHUNK = 10_000
_FIRST = ("Anna", "Jürgen", "María", "Zoë", "Łukasz", "Ida", "Noor", "Emma", "Søren", "Chloé")
_LAST = ("Müller", "O'Neill", "Garcia", "Nowak", "van Dijk", "Rossi", "Lindqvist", "Dupont")
_INTRODUCTION = "Spring is here, and with it the catalogue that you asked for. " * 8
_GREETING = "We wish you well. " * 6
BODY = f"""# What is new in spring

Hello {{{{ first_name | "there" }}}},

{_INTRODUCTION}

## Three things to try

- Sort your shelves by what you reach for.
- Keep one drawer empty, for what comes.
- Write down what you lend, and to whom.

[Read more on our page](https://www.example.com/spring)

{_GREETING}
"""


class Installation:
    """A database full of subscribers, to which one campaign after another is sent."""

    def __init__(self, name: str, url: str, people: int) -> None:
        """Fill the empty database at *url* with so many *people*."""
        self.name = name
        self.url = url
        self._people = people
        prepare(url)
        self._db = Database(url)
        self._fill()

    def make_campaign(self, state: CampaignState = CampaignState.SCHEDULED) -> int:
        """Store a campaign to everybody that is due now unless it is a draft; give its id."""
        now = datetime.now(UTC)
        with self._db.transaction() as session:
            topic = session.scalars(select(Topic).where(Topic.slug == TOPIC)).one()
            sender = session.get_one(Sender, topic.sender_id)
            campaign = Campaign(
                topic_id=topic.id,
                message_class=topic.message_class,
                name="Spring",
                state=state,
                standing=False,
                revision=1,
                report_zone="UTC",
                created_at=now,
                due_at=now,
                frozen_to=0,
                chosen=0,
                frozen=0,
            )
            session.add(campaign)
            session.flush()
            session.add(_content(campaign, topic, sender, now))
        # As the service's own thread does now and then.
        self._db.checkpoint()
        return campaign.id

    def check(self, campaign_id: int) -> None:
        """Stop unless everybody of the campaign was sent."""
        with self._db.reading() as session:
            found = counts(session, campaign_id)
        if found.sent != self._people or not found.adds_up:
            raise SystemExit(f"The numbers don't add up: {found}")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _fill(self) -> None:
        now = datetime.now(UTC)
        for start in range(0, self._people, _CHUNK):
            numbers = range(start + 1, min(start + _CHUNK, self._people) + 1)
            with self._db.transaction() as session:
                topic_id = session.scalars(select(Topic.id).where(Topic.slug == TOPIC)).one()
                policy_id = session.scalars(select(PolicyVersion.id)).one()
                session.execute(insert(Recipient), [_person(number, now) for number in numbers])
                session.execute(
                    insert(Subscription),
                    [
                        {
                            "recipient_id": number,
                            "topic_id": topic_id,
                            "state": SubscriptionState.SUBSCRIBED,
                            "source": Source.IMPORT,
                            "since": now,
                            "policy_version_id": policy_id,
                        }
                        for number in numbers
                    ],
                )


def _person(number: int, now: datetime) -> dict[str, object]:
    first = _FIRST[number % len(_FIRST)]
    address = f"person{number}@mail{number % 997}.example.org"
    return {
        "id": number,
        "address": address,
        "address_hash": HASHER.hash(address),
        "address_key_id": HASHER.key_id,
        "address_origin": AddressOrigin.IMPORTED,
        "first_name": first,
        "last_name": _LAST[number % len(_LAST)],
        "attributes": {"plan": "pro" if number % 3 else "free"},
        "region": ("US", "DE", "FR", None)[number % 4],
        "open_tracking": Choice.GRANTED if number % 2 else Choice.UNKNOWN,
        "created_at": now,
    }


def _content(campaign: Campaign, topic: Topic, sender: Sender, now: datetime) -> Content:
    letterhead = Letterhead(
        message_class=topic.message_class,
        sender_name=sender.name,
        topic_name=topic.name,
        postal_address=sender.postal_address,
        policy_url=f"{sender.base_url}/policy",
        contact=sender.reply_to,
    )
    composed = compose(Written("What is new in spring", BODY), letterhead)
    return Content(
        campaign_id=campaign.id,
        revision=campaign.revision,
        language="en",
        variant="",
        format=SourceFormat.MARKDOWN,
        subject_source="What is new in spring",
        body_source=BODY,
        subject=composed.subject,
        text=composed.text,
        html=composed.html,
        tags=composed.document(),
        sha256=bytes(32),
        created_at=now,
    )


@contextmanager
def sink() -> Iterator[str]:
    """Run the sink; give its URL."""
    running = subprocess.Popen(
        [sys.executable, str(_SINK)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None  # noqa: S101 - it was asked for
    port = int(running.stdout.readline())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        told, _ = running.communicate()
        say(f"The sink took {told.strip()}")


class Told(NamedTuple):
    """What processes told together: seconds to the last one's end, people, most memory of one."""

    seconds: float
    people: int
    peak_mb: float


def together(role: str, processes: int, *arguments: str) -> Told:
    """Run processes of one role from one signal; give what they told."""
    children = [
        subprocess.Popen(
            [sys.executable, str(_CHILD), role, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdout is not None  # noqa: S101 - it was asked for
        if child.stdout.readline() != "ready\n":
            raise SystemExit(f"A process of the role {role} broke.")
    for child in children:
        assert child.stdin is not None  # noqa: S101 - it was asked for
        child.stdin.write("go\n")
        child.stdin.flush()
    told = [json.loads(child.communicate()[0]) for child in children]
    return Told(
        max(float(one["seconds"]) for one in told),
        int(told[0]["people"]),
        max(float(one["peak_mb"]) for one in told),
    )


class Measured(NamedTuple):
    """One database: the ratios, our people a second with one process, a worker's most memory."""

    ratios: dict[str, float]
    per_second: float
    peak_mb: float


def measure(place: Installation, vendor: str, repeat: int) -> Measured:
    """Send with one and two processes against the bare limit."""
    limit = str(place.make_campaign(CampaignState.DRAFT))
    rates, peaks = [], []

    def sent(processes: int) -> float:
        campaign_id = place.make_campaign()
        told = together("send", processes, place.url, vendor, str(campaign_id))
        place.check(campaign_id)
        peaks.append(told.peak_mb)
        if processes == 1:
            rates.append(told.people / told.seconds)
        return told.seconds

    say(f"{place.name}: a campaign against the same bodies without a database")
    seconds = interleaved(
        {
            "no database": lambda: together("bare", 1, place.url, vendor, limit).seconds,
            "1 process": lambda: sent(1),
            "2 processes": lambda: sent(2),
        },
        repeat=repeat,
    )
    ratios = {
        f"{place.name}_{n}": ratio(seconds, limit="no database", ours=name)
        for n, name in ((1, "1 process"), (2, "2 processes"))
    }
    return Measured(ratios, median(rates), max(peaks))


def one_by_one(place: Installation, vendor: str, repeat: int) -> float:
    """Give how many people a second one call of the vendor's client for each of them reaches."""
    limit = str(place.make_campaign(CampaignState.DRAFT))
    told = [together("each", 1, place.url, vendor, limit) for _ in range(repeat)]
    return median(one.people / one.seconds for one in told)


@contextmanager
def installations(only: str | None, folder: Path, people: int) -> Iterator[list[Installation]]:
    """Give the databases to measure, each with so many *people*."""
    with ExitStack() as stack:
        places = []
        if only in {None, "sqlite"}:
            places.append(Installation("sqlite", f"sqlite:///{folder / 'mailprefs.db'}", people))
        if only in {None, "postgres"}:
            server = stack.enter_context(postgresql(folder / "pg"))
            places.append(Installation("postgres", fresh_database(server, "sending"), people))
        for place in places:
            stack.callback(place.close)
        yield places


def main() -> int:
    """Measure the databases; give 1 if a limit is missed."""
    parser = options("Measure campaigns.")
    parser.add_argument("--people", type=int, help="subscribers (200,000; quick: 10,000)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each variant (3)")
    parser.add_argument("--only", choices=["sqlite", "postgres"], help="one database (both)")
    chosen = parser.parse_args()
    people = chosen.people or (10_000 if chosen.quick else 200_000)
    ratios: dict[str, float] = {}
    figures = {"people": float(people), "worker_mb": 0.0}
    with (
        tempfile.TemporaryDirectory(prefix="mailprefs-send-") as name,
        sink() as vendor,
        installations(chosen.only, Path(name), people) as places,
    ):
        for place in places:
            found = measure(place, vendor, chosen.repeat)
            ratios |= found.ratios
            figures[f"{place.name}_per_second"] = found.per_second
            figures["worker_mb"] = max(figures["worker_mb"], found.peak_mb)
            if place.name == "sqlite":
                each = figures["each_per_second"] = one_by_one(place, vendor, chosen.repeat)
                ratios["per_recipient"] = round(found.per_second / each, 1)
    figures = {key: round(value) for key, value in figures.items()}
    missed = [
        f"{name} reaches {ratios[name]}, and the floor is {floor}."
        for name, floor in FLOORS.items()
        if name in ratios and ratios[name] < floor
    ]
    if figures["worker_mb"] >= MOST_MEGABYTES:
        missed.append(f"A worker takes {figures['worker_mb']} MB; the limit is {MOST_MEGABYTES}.")
    return report("send", ratios, figures, missed=missed, is_quick=chosen.quick)


if __name__ == "__main__":
    sys.exit(main())
