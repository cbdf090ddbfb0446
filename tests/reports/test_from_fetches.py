"""From a fetched picture to a rate: what each kind of fetch adds to the report."""

from datetime import UTC, datetime, timedelta

from mailprefs import opens
from mailprefs.db.database import Database, Gate
from mailprefs.opens import Fetch
from mailprefs.reports.counted import sums
from mailprefs.reports.statistic import Seen
from mailprefs.useragents import Client, OpenKind, Reason
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
)

SENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LATER = SENT + timedelta(minutes=20)


def test_machines_behind_apples_proxy_people_and_scanners_each_count_as_what_they_are(
    db: Database,
) -> None:
    with db.transaction() as session:
        make_policy(session)
        campaign = make_campaign(session, make_topic(session), first_hand_over_at=SENT)
        people = [make_recipient(session) for _ in range(7)]
        ids = make_sent(session, campaign, people, at=SENT)
        number = campaign.id
    reader, proxied, apple, apple_reader, scanned, bot, _silent = ids

    def fetch(delivery: int, kind: OpenKind, reason: Reason = Reason.NOT_TOLD) -> Fetch:
        return Fetch(number, delivery, LATER, kind, reason, 1, Client.UNKNOWN)

    with db.transaction(Gate.USING) as session:
        opens.record(
            session,
            [
                fetch(reader, OpenKind.DIRECT),
                fetch(proxied, OpenKind.PROXIED),
                fetch(apple, OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
                fetch(apple_reader, OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
                fetch(apple_reader, OpenKind.DIRECT),
                fetch(scanned, OpenKind.SCANNER),
                fetch(bot, OpenKind.BOT),
            ],
        )
        opens.delivered(session, ids)
    with db.reading() as session:
        assert sums(session, number).seen == Seen(
            delivered=7, apple=2, others_opened=2, apple_opened=1, loaded=4
        )
