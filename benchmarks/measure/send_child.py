"""One process of the send benchmark; it says "ready" and begins when a line comes in.

send_child.py send URL SINK CAMPAIGN    sends the campaign with the service's own workers
send_child.py bare URL SINK CAMPAIGN    builds and posts the same bodies, people in memory
send_child.py each URL SINK CAMPAIGN    one call of the vendor's own client for each person

Each prints how many seconds it took, how many people it handed over, and the most memory that it
had (in MB), as JSON.
"""

import gc
import json
import logging
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from resource import RUSAGE_SELF, getrusage
from time import perf_counter

from sendgrid import SendGridAPIClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.deliveries.contents import Contents
from mailprefs.deliveries.origin import of_campaign
from mailprefs.jobs.dispatch import COLLECTING, Office, Workers
from mailprefs.links import Links
from mailprefs.policy import TrackingBasis, tracking_basis, tracking_mode
from mailprefs.rendering.content import Content
from mailprefs.rendering.person import Origin, Person, mailing, personalise
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.campaigns import Content as ContentRow
from mailprefs.schema.people import Recipient, Topic
from mailprefs.settings import Settings
from mailprefs.vendor import bodies
from mailprefs.vendor.message import Verdict
from mailprefs.vendor.sendgrid import SendGrid

KEY = "SG.a-key-of-nobody.used-by-a-benchmark-on-loopback-only"
SECRET = bytes(range(64))
BATCH = 500
_LOOK_SECONDS = 0.25


class Place:
    """A database with a campaign, and a sink to send it to."""

    def __init__(self, url: str, sink: str, campaign_id: int) -> None:
        """Open the database at *url*."""
        self.db = Database(url)
        self.sink = sink
        self.campaign_id = campaign_id
        self.links = Links([SECRET])

    def send(self) -> tuple[float, int]:
        """Send with the service's own workers, from due to finished; give seconds and people.

        The end is the instant that the campaign keeps as its own, so that it needn't be looked for
        so often that the looking takes time from the sending.
        """
        settings = Settings(sendgrid_host=self.sink, batch_size=BATCH)
        vendor = SendGrid(KEY, self.sink)
        office = Office(db=self.db, vendor=vendor, links=self.links, settings=settings)
        # The sink answers at once, so a second thread would only wait for the interpreter.
        workers = Workers(office, threads=1)
        wait_for_the_start()
        began_at = datetime.now(UTC)
        workers.start()
        while (finished := self._finished()) is None:
            time.sleep(_LOOK_SECONDS)
        workers.stop()
        finished_at, people = finished
        return (finished_at - began_at).total_seconds(), people

    def bare(self) -> tuple[float, int]:
        """Build and post the same bodies; give the seconds and how many people."""
        content, origin, people = self._all()
        vendor = SendGrid(KEY, self.sink)
        began = wait_for_the_start()
        personal = personalise(content, origin)
        for number, start in enumerate(range(0, len(people), BATCH), start=1):
            batch = personal.batch(people[start : start + BATCH])
            outcome = vendor.hand_over(mailing(content, origin, batch, attempt=f"{number:x}"))
            if outcome.verdict is not Verdict.ACCEPTED:
                raise SystemExit(outcome.reason)
        return perf_counter() - began, len(people)

    def each(self, most: int = 2_000) -> tuple[float, int]:
        """Send one request for each person with the vendor's own client."""
        content, origin, people = self._all()
        client = SendGridAPIClient(KEY, host=self.sink)
        began = wait_for_the_start()
        personal = personalise(content, origin)
        for person in people[:most]:
            one = mailing(content, origin, personal.batch([person]), attempt="1")
            answer = client.send(bodies.request(one))
            if answer.status_code != 202:
                raise SystemExit(str(answer.status_code))
        return perf_counter() - began, min(most, len(people))

    def _finished(self) -> tuple[datetime, int] | None:
        """Give when the campaign was finished and how many people it had; None before."""
        with self.db.reading() as session:
            campaign = session.get_one(Campaign, self.campaign_id)
        return (campaign.finished_at, campaign.frozen) if campaign.finished_at else None

    def _all(self) -> tuple[Content, Origin, list[Person]]:
        """Read everybody into memory, as the claims would read them."""
        with self.db.reading() as session:
            campaign = session.get_one(Campaign, self.campaign_id)
            row = session.scalars(
                select(ContentRow.id).where(ContentRow.campaign_id == campaign.id)
            ).one()
            content = Contents().get(session, row)
            origin = of_campaign(session, self.links, campaign.id)
            people = list(_people(session, campaign))
        return content, origin, people


def wait_for_the_start() -> float:
    """Say that everything is ready, wait for the line, and give the time."""
    print("ready", flush=True)
    sys.stdin.readline()
    return perf_counter()


def _people(session: Session, campaign: Campaign) -> Iterable[Person]:
    topic = session.get_one(Topic, campaign.topic_id)
    rows = session.execute(
        select(
            Recipient.id,
            Recipient.address,
            Recipient.first_name,
            Recipient.last_name,
            Recipient.open_tracking,
            Recipient.region,
        ).order_by(Recipient.id)
    )
    for ordinal, row in enumerate(rows, start=1):
        recipient_id, address, first, last, choice, region = row
        yield Person(
            recipient_id,
            address,
            first or "",
            last or "",
            {},
            "",
            campaign.id << 32 | ordinal,
            # Whom the claims don't measure has no pixel in these bodies either.
            tracking_mode(
                choice,
                tracking_basis(region, TrackingBasis.NOTICE),
                ceiling=topic.tracking,
                unasked=topic.unasked_tracking,
            ),
        )


def main(role: str, url: str, sink: str, campaign_id: int) -> dict[str, float]:
    """Do one role; give what it measured."""
    place = Place(url, sink, campaign_id)
    # As Workers.start does, so that both sides collect their garbage alike.
    gc.set_threshold(*COLLECTING)
    seconds, people = {"send": place.send, "bare": place.bare, "each": place.each}[role]()
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1_024
    return {"seconds": seconds, "people": people, "peak_mb": peak}


if __name__ == "__main__":
    logging.disable()
    role, url, sink, campaign_id = sys.argv[1:]
    print(json.dumps(main(role, url, sink, int(campaign_id))))
