"""Nothing is kept longer than its rule says, in any table; a table without a word fails."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.orm import Session

from mailprefs import consent, periods
from mailprefs.consent import Entry
from mailprefs.db.database import Database
from mailprefs.jobs.retention import RULES, STAYS, Retention, Rule
from mailprefs.policy import (
    AddressOrigin,
    DataRequest,
    LegalPurpose,
    MessageClass,
    Purpose,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.schema import base
from mailprefs.schema.alarms import Alarm
from mailprefs.schema.base import Retention as Kept
from mailprefs.schema.base import UtcDateTime
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.choices import ConsentEntry, ReasonGiven, SuppressionLift
from mailprefs.schema.deliveries import Delivery, HandOver, LastPromotion, SingleValues
from mailprefs.schema.events import (
    MailboxFact,
    MalformedEvent,
    Reconciliation,
    SoftBounce,
    VendorEventRow,
)
from mailprefs.schema.imports import Import, ImportedAs, ImportRefusal
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.legal import Disclosure, DisclosureBasis, LegalHold
from mailprefs.schema.opens import Measured, Open, SpoolPosition, UndecidedOpen
from mailprefs.schema.people import Recipient, SignUp, Subscription
from mailprefs.schema.requests import DataRequestRow
from mailprefs.schema.sending import Presence
from mailprefs.schema.staff import SignInLink
from mailprefs.schema.tables import metadata
from tests.factories import (
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_staff,
    make_topic,
    stored,
    subscribe,
)

NOW = datetime(2036, 11, 23, 4, 30, tzinfo=UTC)
IS_LEFT = Callable[[Session], bool]
DOCUMENT = Path(__file__).parents[2] / "docs" / "retention.md"
WAYS = {"recipient_id", "delivery_id"}


def of_people(of: MetaData) -> set[str]:
    """List the tables whose rows are of one person each."""
    return {one.name for one in of.sorted_tables if WAYS & set(one.columns.keys())} | {
        "recipients"
    } & set(of.tables)


def untold(of: MetaData) -> list[str]:
    """Say of which tables nobody has said for how long they are kept, and what to do about it."""
    told = set(STAYS).union(*(rule.tables for rule in RULES))
    found = [
        f"{one.name}: nobody says for how long it is kept. Give it a Rule in "
        "mailprefs/jobs/retention/rules.py (its period stands in mailprefs/periods.py, and what "
        "fills it with old rows in tests/walks/test_retention.py), or a reason in STAYS."
        for one in of.sorted_tables
        if one.name not in told
    ]
    ruled = set().union(*(rule.tables for rule in RULES))
    return found + [
        f"{one}: it is marked to be kept for a while only, and has no Rule"
        for one in of.sorted_tables
        if one.name not in ruled
        and {column.info["mark"].retention for column in one.columns}
        & {Kept.EVIDENCE, Kept.WEBHOOK, Kept.LEDGER}
    ]


class World:
    """Whatever rows of all ages hang on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.policy = make_policy(session)
        self.news = make_topic(session)
        self.account = make_topic(session, "account", MessageClass.ADMINISTRATIVE)
        self.staff = make_staff(session)
        self.numbers = iter(range(1, 10_000))
        self.standing: dict[str, Campaign] = {}

    def sent(self, at: datetime, *, topic: str = "news") -> int:
        """Give a delivery of a campaign that began then and has ended."""
        is_news = topic == "news"
        campaign = make_campaign(
            self.session,
            self.news if is_news else self.account,
            purpose=None if is_news else LegalPurpose.LEGAL_NOTICE,
            state=CampaignState.FINISHED,
            first_hand_over_at=at,
            closed_at=at + timedelta(days=90),
        )
        return make_sent(self.session, campaign, [make_recipient(self.session)], at=at)[0]

    def single(self, kind: str, at: datetime) -> int:
        """Give a delivery of a single message that was handed over then."""
        if kind not in self.standing:
            self.standing[kind] = make_campaign(
                self.session,
                self.account,
                purpose=LegalPurpose.ACCOUNT,
                standing=True,
                template=kind,
            )
        person = make_recipient(self.session)
        (made,) = make_sent(self.session, self.standing[kind], [person], modes="o", at=at)
        self.session.get_one(Delivery, made).idempotency_key = f"key {next(self.numbers)}"
        return made


def _row(table: type[base.Base], **columns: object) -> Callable[[World, datetime], IS_LEFT]:
    """Fill a table by its own date: values that are called get the world and the time."""

    def fill(world: World, at: datetime) -> IS_LEFT:
        values = {
            name: value(world, at) if callable(value) else value for name, value in columns.items()
        }
        row = stored(world.session, table(**values))
        key = [getattr(row, column.name) for column in table.__table__.primary_key]
        return lambda session: session.get(table, key if len(key) > 1 else key[0]) is not None

    return fill


def _at(world: World, at: datetime) -> datetime:
    del world
    return at


def _number(world: World, at: datetime) -> int:
    del at
    return next(world.numbers)


def _wording(world: World, at: datetime) -> int:
    del at
    return consent.wording(world.session, Purpose.PROMOTIONAL_EMAIL, "en", "Yes, please.").id


def _text(world: World, at: datetime) -> str:
    return f"text {_number(world, at)}"


def _bytes(length: int) -> Callable[[World, datetime], bytes]:
    return lambda world, at: _number(world, at).to_bytes(length, "big")


def _sent(world: World, at: datetime) -> int:
    return world.sent(at)


def _open(world: World, at: datetime, *, ruleset: int = 3) -> Open:
    return stored(
        world.session,
        Open(
            delivery_id=world.sent(at),
            kind=1,
            reason=2,
            ruleset=ruleset,
            policy_version_id=world.policy,
            first_seen_at=at,
            country="DE",
            client=2,
        ),
    )


def an_open(world: World, at: datetime) -> IS_LEFT:
    key = (_open(world, at).delivery_id, 1)
    return lambda session: session.get(Open, key) is not None


def an_open_in_detail(world: World, at: datetime) -> IS_LEFT:
    key = (_open(world, at).delivery_id, 1)
    return lambda session: (found := session.get(Open, key)) is not None and found.ruleset != 0


def something_measured(world: World, at: datetime) -> IS_LEFT:
    sent = world.sent(at)
    return lambda session: session.get(Measured, sent) is not None


def a_link(topic: str) -> Callable[[World, datetime], IS_LEFT]:
    def fill(world: World, at: datetime) -> IS_LEFT:
        sent = world.sent(at, topic=topic)
        return lambda session: session.get_one(Delivery, sent).recipient_id is not None

    return fill


def a_message_to_one(world: World, at: datetime) -> IS_LEFT:
    made = world.single("confirmation", at)
    return lambda session: any(
        (
            session.get_one(Delivery, made).recipient_id,
            session.get_one(Delivery, made).idempotency_key,
        )
    )


def its_mailbox(world: World, at: datetime) -> IS_LEFT:
    made = world.single("fresh_link", at)
    world.session.add(MailboxFact(delivery_id=made, event="delivered", occurred_at=at))
    return lambda session: session.get(MailboxFact, (made, "delivered")) is not None


def its_values(world: World, at: datetime) -> IS_LEFT:
    made = world.single("export", at)
    world.session.add(SingleValues(delivery_id=made, values={"page_url": "https://example.com"}))
    return lambda session: session.get(SingleValues, made) is not None


def a_vendors_word(world: World, at: datetime) -> IS_LEFT:
    made = world.single("alarm", at)
    call = world.session.query(HandOver).order_by(HandOver.id.desc()).first()
    assert call is not None
    assert call.campaign_id == made >> 32
    call.reason, number = "somebody@example.com is refused", call.id
    call.claimed_at = at
    return lambda session: session.get_one(HandOver, number).reason is not None


def an_unconfirmed_address(world: World, at: datetime) -> IS_LEFT:
    person = make_recipient(world.session, address_origin=AddressOrigin.UNCONFIRMED, created_at=at)
    waiting = SubscriptionState.PENDING
    subscribe(world.session, person, world.news, waiting, since=at)
    key = (person.id, world.news.id)
    return lambda session: (
        session.get(Recipient, key[0]) is not None or session.get(Subscription, key) is not None
    )


def apples_day(world: World, at: datetime) -> IS_LEFT:
    number = make_recipient(world.session, apple_seen_on=at.date()).id
    return lambda session: session.get_one(Recipient, number).apple_seen_on is not None


def a_choice_of_somebody_gone(world: World, at: datetime) -> IS_LEFT:
    entry = Entry(
        recipient_id=1_000_000 + next(world.numbers),
        purpose=Purpose.PROMOTIONAL_EMAIL,
        topic_id=1,
        old=None,
        new="subscribed",
        source=Source.PAGE,
        policy_version_id=world.policy,
        method="button",
        occurred_at=at,
    )
    (seq,) = consent.append(world.session, [entry], now=at)
    return lambda session: session.get_one(ConsentEntry, seq).payload is not None


def a_refused_line(world: World, at: datetime) -> IS_LEFT:
    done = stored(
        world.session,
        Import(
            topic_id=world.news.id,
            digest=bytes(32),
            imported_as=ImportedAs.SUBSCRIBED,
            source="a fair",
            policy_version_id=world.policy,
            started_at=at - timedelta(minutes=1),
            finished_at=at,
            rows_done=1,
            counts={},
        ),
    )
    row = _row(ImportRefusal, import_id=done.id, line=1, reason="It has no address.")
    return row(world, at)


def a_disclosure_of_one(world: World, at: datetime) -> IS_LEFT:
    told = stored(
        world.session,
        Disclosure(
            at=at,
            basis=DisclosureBasis.LAW,
            to_whom="The court of Exampletown",
            fields="address",
            n=1,
            reason="It asked.",
            recipient_id=_person(world, at),
        ),
    )
    number = told.id
    return lambda session: session.get_one(Disclosure, number).recipient_id is not None


def _person(world: World, at: datetime) -> int:
    del at
    return make_recipient(world.session).id


FILLS: dict[str, list[Callable[[World, datetime], IS_LEFT]]] = {
    "undecided": [
        _row(
            UndecidedOpen,
            delivery_id=_sent,
            kind=1,
            at=_at,
            reason=1,
            ruleset=3,
            client=1,
        )
    ],
    "evidence": [
        an_open,
        something_measured,
        _row(MailboxFact, delivery_id=_sent, event="delivered", occurred_at=_at),
    ],
    "details": [an_open_in_detail],
    "links": [a_link("news")],
    "notices": [a_link("account")],
    "single_values": [its_values],
    "single_messages": [a_message_to_one, its_mailbox],
    "hand_overs": [a_vendors_word],
    "vendor_events": [
        _row(
            VendorEventRow,
            natural_key=_text,
            delivery_id=_number,
            kind="delivered",
            occurred_at=_at,
            received_at=_at,
        )
    ],
    "malformed_events": [_row(MalformedEvent, digest=_text, sentence="It.", received_at=_at)],
    "soft_bounces": [_row(SoftBounce, delivery_id=_number, recipient_id=_person, occurred_at=_at)],
    "reconciliations": [
        _row(
            Reconciliation,
            night=lambda world, at: at.date() - timedelta(days=_number(world, at)),
            since=_at,
            started_at=_at,
            found={},
        )
    ],
    "last_promotions": [_row(LastPromotion, recipient_id=_person, campaign_id=1, at=_at)],
    "reasons_given": [_row(ReasonGiven, recipient_id=_person, left_at=_at)],
    "apple": [apples_day],
    "unconfirmed": [an_unconfirmed_address],
    "sign_ups": [
        _row(
            SignUp,
            recipient_id=_person,
            topic_id=lambda world, _: world.news.id,
            asked_at=_at,
            source=Source.SIGN_UP,
            wording_id=_wording,
            language="en",
        )
    ],
    "ledger": [a_choice_of_somebody_gone],
    "lifts": [
        _row(
            SuppressionLift,
            address_hash=_bytes(16),
            reason=SuppressionReason.HARD_BOUNCE,
            source=Source.VENDOR,
            since=_at,
            lifted_at=_at,
            because="It works again.",
        )
    ],
    "import_refusals": [a_refused_line],
    "inbound": [
        _row(
            InboundRow,
            digest=_bytes(16),
            received_at=_at,
            wish="other",
            is_proven=False,
            attachments=lambda *_: [],
        )
    ],
    "data_requests": [
        _row(
            DataRequestRow,
            nonce_hash=_bytes(32),
            recipient_id=_person,
            kind=DataRequest.EXPORT,
            asked_at=_at,
            expires_at=_at,
        )
    ],
    "disclosures": [a_disclosure_of_one],
    "legal_holds": [
        _row(
            LegalHold,
            address_hash=_bytes(16),
            address_key_id=1,
            reason="The court asks.",
            placed_at=_at,
            lifted_at=_at,
        )
    ],
    "sign_in_links": [
        _row(
            SignInLink,
            nonce_hash=_bytes(32),
            staff_id=lambda world, _: world.staff.id,
            expires_at=_at,
        )
    ],
    "alarms": [
        _row(
            Alarm,
            kind="disk_filling",
            subject=_text,
            sentence="It fills.",
            since=_at,
            raised_at=_at,
            last_seen=_at,
            cleared_at=_at,
        )
    ],
    "positions": [_row(SpoolPosition, segment=_bytes(16), position=64, updated_at=_at)],
    "presences": [_row(Presence, owner=_text, started_at=_at, seen_at=_at)],
}
# Rules whose dates are days: younger by a day is young, and by an hour may be either.
BY_DAY = {"apple"}


def ages(name: str) -> Iterator[datetime]:
    """Give instants from long before a rule's period to now, oldest first."""
    before = periods.KNOWN[name].usual.before(NOW)
    near = timedelta(days=1) if name in BY_DAY else timedelta(minutes=5)
    whole = NOW - before
    yield from (NOW - 3 * whole, NOW - 1.5 * whole, before - near, before + near, NOW - whole / 2)
    yield NOW - timedelta(minutes=1)


def test_every_table_has_a_rule_or_a_reason_to_stay() -> None:
    assert untold(metadata) == []
    told = set(STAYS).union(*(rule.tables for rule in RULES))
    assert told == set(metadata.tables)


def test_every_rule_has_a_period_and_rows_of_all_ages() -> None:
    names = [rule.name for rule in RULES]
    assert sorted(names) == sorted(periods.KNOWN) == sorted(FILLS)
    filled = set().union(*(rule.tables for rule in RULES))
    stay_whole = {"silenced_deliveries", "suppressions"}
    assert of_people(metadata) - filled == stay_whole, (
        "Rows of one person are kept for ever; does that have to be?"
    )


def test_a_new_table_of_people_without_a_rule_is_told() -> None:
    wrong = MetaData()
    mark = {"mark": base.EVIDENCE}
    Table(
        "visits",
        wrong,
        Column("recipient_id", Integer, info=mark),
        Column("at", UtcDateTime, info=mark),
    )
    first, second = untold(wrong)
    assert "visits: nobody says for how long it is kept" in first
    assert "has no Rule" in second
    assert of_people(wrong) == {"visits"}


def test_nothing_that_is_older_than_its_rule_is_left_and_nothing_younger_is_lost(
    db: Database,
) -> None:
    filled: dict[tuple[str, int, datetime], IS_LEFT] = {}
    with db.transaction() as session:
        world = World(session)
        for name, fills in FILLS.items():
            for number, fill in enumerate(fills):
                for at in ages(name):
                    filled[name, number, at] = fill(world, at)
    job = Retention(db=db, zone="UTC", clock=lambda: NOW)
    would = job.now(dry_run=True)
    with db.reading() as session:
        assert all(is_left(session) for is_left in filled.values()), "a dry run changes nothing"
    # Each rule counts for itself, so what one would delete another would reduce before.
    assert job.now() == would | {"details": would["details"] - 3}
    with db.reading() as session:
        for (name, number, at), is_left in filled.items():
            is_young = at >= periods.KNOWN[name].usual.before(NOW)
            assert is_left(session) == is_young or _is_taken_by_another(name, at), (
                name,
                number,
                at,
            )
        assert consent.verify(session) == len(list(ages("ledger")))
    assert set(job.now().values()) == {0}


def _is_taken_by_another(name: str, at: datetime) -> bool:
    """Tell whether an open's details went with the whole of it: gone is gone."""
    return name == "details" and at < periods.KNOWN["evidence"].usual.before(NOW)


def rendered() -> str:
    """Give the tables of the document, as the rules say them."""
    lines = ["| What | Kept | Then | Why |", "|---|---|---|---|"]
    lines += [
        f"| {rule.what} (`{rule.name}`) | {periods.KNOWN[rule.name].usual} | {rule.then} "
        f"| {rule.why} |"
        for rule in RULES
    ]
    lines += ["", "What stays, table by table:", "", "| Table | Why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in STAYS.items()]
    return "\n".join(lines)


def test_the_document_says_what_the_rules_say() -> None:
    assert rendered() in DOCUMENT.read_text(encoding="utf-8"), rendered()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_is_said_in_words(rule: Rule) -> None:
    for text in (rule.what, rule.then, rule.why):
        assert text
        assert not text.endswith(".")
