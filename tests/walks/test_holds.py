"""Every rule of retention leaves alone what is of somebody whose data is held by law."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from mailprefs.db.database import Database, Gate
from mailprefs.jobs.retention import RULES, Retention
from mailprefs.policy import Source, SuppressionReason
from mailprefs.schema.choices import SuppressionLift
from mailprefs.schema.events import Reconciliation, SoftBounce, VendorEventRow
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.legal import LegalHold
from mailprefs.schema.people import Recipient
from tests.factories import make_recipient
from tests.walks import test_retention as kept
from tests.walks.test_retention import IS_LEFT, World, _at, _row, _sent

NOW = datetime(2036, 11, 23, 4, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=365 * 9)
NOBODYS = {
    "malformed_events": "nothing of what the event said is kept",
    "import_refusals": "nothing of who stood in the line is kept",
    "ledger": "the rule is for people who are gone, and nobody is gone whose data is held",
    "legal_holds": "the rule is for holds that are over",
    "sign_in_links": "a member of staff's",
    "alarms": "the company's",
    "positions": "the company's",
    "presences": "the company's",
}
"""Rules that delete nothing of anybody on file, and why."""

Fill = Callable[[World, datetime], IS_LEFT]


def _hash(world: World, at: datetime) -> bytes:
    del at
    return make_recipient(world.session).address_hash


def a_night_that_names_somebody(world: World, at: datetime) -> IS_LEFT:
    person = make_recipient(world.session).id
    found = {"still_listed": [{"recipient": person, "list": "bounces"}]}
    columns = {"since": at, "started_at": at, "found": found}
    return _row(Reconciliation, night=at.date(), **columns)(world, at)


# Where the fills of the rules themselves are of nobody on file.
OF_SOMEBODY: dict[str, Fill] = {
    "vendor_events": _row(
        VendorEventRow,
        natural_key="key",
        delivery_id=_sent,
        kind="delivered",
        occurred_at=_at,
        received_at=_at,
    ),
    "soft_bounces": _row(SoftBounce, delivery_id=_sent, recipient_id=999_999, occurred_at=_at),
    "reconciliations": a_night_that_names_somebody,
    "lifts": _row(
        SuppressionLift,
        address_hash=_hash,
        reason=SuppressionReason.HARD_BOUNCE,
        source=Source.VENDOR,
        since=_at,
        lifted_at=_at,
        because="It works again.",
    ),
    "inbound": _row(
        InboundRow,
        digest=b"0123456789abcdef",
        sender_hash=_hash,
        received_at=_at,
        wish="other",
        is_proven=False,
        attachments=[],
    ),
}


def fills(name: str) -> list[Fill]:
    """Give what fills the tables of a rule with rows of somebody on file."""
    return [OF_SOMEBODY[name]] if name in OF_SOMEBODY else list(kept.FILLS[name])


def hold_everybody(db: Database) -> None:
    with db.transaction(Gate.TAKING) as session:
        session.add_all(
            LegalHold(address_hash=one, address_key_id=1, reason="The court asks.", placed_at=NOW)
            for (one,) in session.query(Recipient.address_hash)
        )


def test_every_rule_spares_whose_data_is_held_and_nobody_else(db: Database) -> None:
    with db.transaction() as session:
        world = World(session)
        theirs = filled(world, {one: fills(one) for one in kept.FILLS if one not in NOBODYS})
    assert {name for name, _ in theirs} | set(NOBODYS) == {rule.name for rule in RULES}
    hold_everybody(db)
    with db.transaction() as session:
        world.session = session
        others = filled(world, kept.FILLS)
    job = Retention(db=db, zone="UTC", clock=lambda: NOW)
    job.now()
    assert left(db, theirs) == set(theirs)
    assert left(db, others) == set()
    with db.transaction() as session:
        session.execute(update(LegalHold).values(lifted_at=NOW))
    job.now()
    # What somebody lifted stays while the address is on file, held or not.
    assert {name for name, _ in left(db, theirs)} == {"lifts"}


def filled(world: World, by_rule: Mapping[str, Sequence[Fill]]) -> dict[tuple[str, int], IS_LEFT]:
    """Fill the tables of some rules with rows that are too old."""
    return {
        (name, number): fill(world, LONG_AGO)
        for name, some in by_rule.items()
        for number, fill in enumerate(some)
    }


def left(db: Database, rows: Mapping[tuple[str, int], IS_LEFT]) -> set[tuple[str, int]]:
    with db.reading() as session:
        return {key for key, is_left in rows.items() if is_left(session)}
