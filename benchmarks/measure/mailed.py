"""Millions of deliveries of the last weeks, made up by the database itself, in a minute or two.

Everybody whose opens may be told apart, as notices allow; almost all delivered, three seconds after
the vendor took them; a third read by Apple's Mail. Older campaigns share the people of the newest.
"""

# ruff: noqa: S608 - the statements are put together from our own text only

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from mailprefs.db.database import Database
from mailprefs.schema.campaigns import Campaign, CampaignState, Content, SourceFormat
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.deliveries import Batch, BatchState, HandOver
from mailprefs.schema.people import Topic

_BATCH: Final = 500
_OLDER: Final = 8
_NEWEST_PEOPLE: Final = 400_000
_TIME: Final = "%Y-%m-%d %H:%M:%S.%f"


class Mailed(NamedTuple):
    """The campaigns that were made up, by id, with how many people each went to.

    ``newest`` are those whose opens come in; *sent_at* is when the last of them was handed over.
    """

    newest: tuple[int, ...]
    older: tuple[int, ...]
    people: dict[int, int]
    sent_at: datetime

    def of(self, campaign_id: int) -> int:
        """Give how many people one campaign went to."""
        return self.people[campaign_id]


def fill(db: Database, deliveries: int, *, newest: int) -> Mailed:
    """Fill an installation with so many *deliveries*, in *newest* campaigns and some older ones."""
    sent_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    most = min(_NEWEST_PEOPLE, deliveries // (newest + _OLDER))
    older = (deliveries - most * newest) // _OLDER
    with db.transaction(durable=False) as session:
        _people(session, max(most, older), sent_at - timedelta(days=80))
        campaigns = {
            _campaign(session, older, sent_at - timedelta(days=7 * (weeks + 1))): older
            for weeks in range(_OLDER)
        }
        old = tuple(campaigns)
        for _ in range(newest):
            campaigns[_campaign(session, most, sent_at - timedelta(hours=1))] = most
    db.checkpoint()
    with db.transaction() as session:
        if not db.is_sqlite:
            session.execute(text("ANALYZE"))
    return Mailed(tuple(one for one in campaigns if one not in old), old, campaigns, sent_at)


def _campaign(session: Session, people: int, began: datetime) -> int:
    """Store one campaign that went to the first so many *people*, from *began* on."""
    topic = session.scalars(select(Topic)).one()
    campaign = Campaign(
        topic_id=topic.id,
        message_class=topic.message_class,
        name="Spring",
        state=CampaignState.FINISHED,
        standing=False,
        revision=1,
        report_zone="Europe/Berlin",
        created_at=began,
        first_hand_over_at=began,
        frozen_to=people,
        chosen=people,
        frozen=people,
    )
    session.add(campaign)
    session.flush()
    content = Content(
        campaign_id=campaign.id,
        revision=1,
        language="en",
        variant="",
        format=SourceFormat.MARKDOWN,
        **dict.fromkeys(("subject_source", "body_source", "subject", "text", "html"), "Spring"),
        tags={},
        sha256=bytes(32),
        created_at=began,
    )
    session.add(content)
    session.flush()
    _calls(session, campaign, content.id, began)
    _deliveries(session, campaign.id, people, began)
    return campaign.id


def _calls(session: Session, campaign: Campaign, content_id: int, began: datetime) -> None:
    """Store the batches of a campaign, each handed over half a second after the one before."""
    last_batch = session.scalar(select(Batch.id).order_by(Batch.id.desc()).limit(1)) or 0
    batches: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for number, start in enumerate(range(0, campaign.frozen, _BATCH)):
        n = min(_BATCH, campaign.frozen - start)
        first = (campaign.id << 32) + start + 1
        both = last_batch + number + 1
        batch = {
            "id": both,
            "campaign_id": campaign.id,
            "content_id": content_id,
            "priority": 2,
            "first_id": first,
            "last_id": first + n - 1,
            "n": n,
            "own": 0,
            "state": BatchState.SENT,
            "hand_over_id": both,
        }
        batches.append(batch)
        calls.append(_call(campaign, both, n, began + timedelta(seconds=number / 2)))
    session.execute(insert(Batch), batches)
    session.execute(insert(HandOver), calls)


def _call(campaign: Campaign, number: int, n: int, at: datetime) -> dict[str, Any]:
    """Give the row of one accepted vendor call, of the batch with the same number."""
    return {
        "id": number,
        "batch_id": number,
        "campaign_id": campaign.id,
        "message_class": campaign.message_class,
        "vendor": "measured",
        "n": n,
        "fields": "address",
        "modes": "i" * n,
        "owner": "measured",
        "claimed_at": at - timedelta(seconds=1),
        "ended_at": at,
        "outcome": "accepted",
        "status": 202,
    }


def _numbers(session: Session) -> str:
    """Give the FROM that counts from 1 to :n."""
    if session.get_bind().dialect.name == "sqlite":
        return (
            "(WITH RECURSIVE counted(i) AS"
            " (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < :n)"
            " SELECT i FROM counted) AS numbers"
        )
    return "generate_series(1, CAST(:n AS bigint)) AS numbers(i)"


def _people(session: Session, people: int, since: datetime) -> None:
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    hashed = (
        "CAST(printf('%016d', i) AS BLOB)"
        if is_sqlite
        else "convert_to(lpad(i::text, 16, '0'), 'UTF8')"
    )
    session.execute(
        text(
            "INSERT INTO recipients (id, address, address_hash, address_key_id, address_origin,"
            " first_name, attributes, region, open_tracking, created_at)"
            f" SELECT i, 'person' || i || '@mail.example.org', {hashed}, 1, 'imported', 'Anna',"
            f" '{{}}', 'US', 'unknown', :since FROM {_numbers(session)}"
        ),
        {"n": people, "since": _time(session, since)},
    )


def _deliveries(session: Session, campaign_id: int, people: int, began: datetime) -> None:
    """Store deliveries, what is measured of them, and that almost all were delivered."""
    policy = session.scalars(select(PolicyVersion.id)).one()
    values: dict[str, Any] = {
        "n": people,
        "campaign": campaign_id,
        "first": campaign_id << 32,
        "policy": policy,
        "at": _time(session, began + timedelta(seconds=3)),
    }
    numbers = _numbers(session)
    # Every 33rd has not arrived, every third is loaded by Apple.
    bits = "CASE WHEN i % 33 = 0 THEN 0 ELSE 1 END + CASE WHEN i % 3 = 0 THEN 2 ELSE 0 END"
    for statement in (
        f"""INSERT INTO deliveries (id, campaign_id, recipient_id, policy_version_id)
            SELECT :first + i, :campaign, i, :policy FROM {numbers}""",
        f"INSERT INTO measured (delivery_id, bits) SELECT :first + i, {bits} FROM {numbers}",
        f"""INSERT INTO measured_totals (campaign_id, bits, n)
            SELECT :campaign, {bits}, count(*) FROM {numbers} GROUP BY 2""",
        f"""INSERT INTO mailbox_facts (delivery_id, event, occurred_at)
            SELECT :first + i, 'delivered', {_later(session)} FROM {numbers} WHERE i % 33 <> 0""",
    ):
        given = {name: values[name] for name in values if f":{name}" in statement}
        session.execute(text(statement), given)


def _later(session: Session) -> str:
    """Give the SQL for when the message of number i was delivered: as its batch went out."""
    if session.get_bind().dialect.name == "sqlite":
        return "strftime('%Y-%m-%d %H:%M:%S.000000', :at, '+' || (i / 1000) || ' seconds')"
    return "CAST(:at AS timestamptz) + (i / 1000) * interval '1 second'"


def _time(session: Session, at: datetime) -> object:
    return at.strftime(_TIME) if session.get_bind().dialect.name == "sqlite" else at
