"""A legal hold: what erasing and retention leave alone, and what happens when it is over."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from mailprefs import audience, audit, inbound, journal, privacy, suppressions
from mailprefs.audience import Audience
from mailprefs.audit import CONSOLE
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadInput, Conflict, NotFound
from mailprefs.instance import Place
from mailprefs.jobs.adoption import Adoption
from mailprefs.journal import Journal, Refusal
from mailprefs.policy import MessageClass, Source, SuppressionReason
from mailprefs.privacy import Asked, Erased, Lifted, holds
from mailprefs.privacy.sealing import unseal_copy
from mailprefs.schema.inbound import InboundRow
from mailprefs.schema.legal import LegalHold
from mailprefs.schema.opens import Measured, SilencedDelivery
from mailprefs.schema.people import Recipient
from tests.factories import (
    HASHER,
    make_campaign,
    make_policy,
    make_recipient,
    make_sent,
    make_topic,
    stored,
    subscribe,
)

NOW = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
ADA, NAME = "ada@example.org", "Adalovelacia"
ASKED = Asked(Source.STAFF, CONSOLE, HASHER)
CHILD = ASKED._replace(is_child=True)
BECAUSE = "Court of Exampletown, 12 O 34/27"
OVER = "The case is closed."


@pytest.fixture
def ada(db: Database) -> int:
    """Give somebody who is subscribed, was sent one message, and is held."""
    with db.transaction(Gate.TAKING) as session:
        make_policy(session)
        news = make_topic(session, "newsletter")
        person = make_recipient(session, ADA, first_name=NAME)
        subscribe(session, person, news)
        make_sent(session, make_campaign(session, news), [person])
        holds.place(session, person.id, CONSOLE, reason=BECAUSE, now=NOW)
        return person.id


def erase(db: Database, asked: Asked = ASKED) -> Erased | None:
    with db.transaction(Gate.TAKING) as session:
        return privacy.erase_address(session, ADA, asked, now=NOW + timedelta(days=1))


def lift(db: Database, number: int = 1) -> Lifted:
    with db.transaction(Gate.TAKING) as session:
        return privacy.lift(session, number, ASKED, because=OVER, now=NOW + timedelta(days=2))


def is_known(db: Database) -> bool:
    with db.reading() as session:
        return session.query(Recipient).count() == 1


def gets(db: Database, message_class: MessageClass) -> bool:
    """Tell whether mail of a class would go to her."""
    with db.reading() as session:
        who = audience.eligible(Audience(1, message_class), NOW)
        return bool(session.scalars(who).all())


def test_an_erasure_is_put_off_and_done_when_the_hold_is_lifted(db: Database, ada: int) -> None:
    assert all(gets(db, one) for one in MessageClass)
    done = erase(db)
    assert done is not None and done.id is None
    assert is_known(db)
    assert not any(gets(db, one) for one in MessageClass)
    with db.reading() as session:
        reasons = [one.reason for one in suppressions.of(session, HASHER.hash(ADA))]
    assert reasons == [SuppressionReason.ERASED], "so that no import brings her back"
    lifted = lift(db)
    assert lifted.erased is not None and lifted.erased.id is not None
    assert not is_known(db)
    with db.reading() as session:
        (kept,) = suppressions.of(session, HASHER.hash(ADA))
        assert (kept.reason, kept.source) == (SuppressionReason.ERASED, Source.STAFF)


def test_lifting_without_an_order_to_erase_leaves_everybody_where_they_are(
    db: Database, ada: int
) -> None:
    assert lift(db) == Lifted(0, None)
    assert is_known(db) and gets(db, MessageClass.PROMOTIONAL)
    erase(db)
    assert not is_known(db)


def test_while_an_erasure_waits_nothing_is_deleted_and_nothing_more_is_measured(
    db: Database, ada: int
) -> None:
    erase(db)
    with db.reading() as session:
        (measured,) = session.scalars(select(Measured.delivery_id))
        assert list(session.scalars(select(SilencedDelivery.delivery_id))) == [measured]


def test_who_is_held_twice_is_erased_when_the_last_hold_is_lifted(db: Database, ada: int) -> None:
    erase(db)
    with db.transaction(Gate.TAKING) as session:
        holds.place(session, ada, CONSOLE, reason="The tax office asks.", now=NOW)
    assert lift(db, 1) == Lifted(1, None)
    assert is_known(db)
    assert lift(db, 2).erased is not None
    assert not is_known(db)


def test_a_child_is_erased_at_once_and_one_sealed_copy_stays_until_the_end(
    db: Database, ada: int
) -> None:
    done = erase(db, CHILD)
    assert done is not None and done.id is not None
    assert not is_known(db)
    with db.reading() as session:
        sealed = holds.by_id(session, 1).sealed
    assert sealed is not None
    assert NAME.encode() not in sealed and ADA.encode() not in sealed
    copy = json.loads(unseal_copy(HASHER, sealed) or b"")
    assert copy["recipients"][0]["first_name"] == NAME
    assert {"subscriptions", "deliveries", "measured"} <= set(copy)
    assert lift(db) == Lifted(0, None)
    with db.reading() as session:
        assert holds.by_id(session, 1).sealed is None


def test_a_second_hold_on_an_erased_child_keeps_the_copy(db: Database, ada: int) -> None:
    with db.transaction(Gate.TAKING) as session:
        holds.place(session, ada, CONSOLE, reason="The tax office asks.", now=NOW)
    erase(db, CHILD)
    assert lift(db, 1) == Lifted(1, None)
    with db.reading() as session:
        assert [one.sealed is not None for one in holds.listed(session)] == [True, False]


def test_who_holds_and_lifts_says_why_and_stands_in_the_audit(db: Database, ada: int) -> None:
    with db.transaction(Gate.TAKING) as session:
        for reason in ("", "no", f"{ADA} is asked about by the court."):
            with pytest.raises(BadInput):
                holds.place(session, ada, CONSOLE, reason=reason, now=NOW)
        with pytest.raises(NotFound):
            holds.place(session, 999, CONSOLE, reason=BECAUSE, now=NOW)
        session.rollback()
    lift(db)
    with pytest.raises(Conflict, match="lifted already"):
        lift(db)
    with db.reading() as session:
        (placed,) = audit.of(session, ("recipient", ada))
        (lifted,) = audit.of(session, ("legal_hold", 1))
        assert (placed.action, placed.reason) == ("legal_hold.placed", BECAUSE)
        assert (lifted.action, lifted.reason) == ("legal_hold.lifted", OVER)
        hold = session.scalars(select(LegalHold)).one()
        assert (hold.reason, hold.lifted_because) == (BECAUSE, OVER)


def test_it_takes_the_gate(db: Database, ada: int) -> None:
    with db.transaction() as session:
        with pytest.raises(RuntimeError, match="TAKING"):
            holds.place(session, ada, CONSOLE, reason=BECAUSE, now=NOW)
        with pytest.raises(RuntimeError, match="TAKING"):
            privacy.lift(session, 1, ASKED, because=OVER, now=NOW)


def test_what_she_wrote_to_us_stays_also_when_it_is_dealt_with(db: Database, ada: int) -> None:
    def write(number: int) -> None:
        with db.transaction() as session:
            mail = InboundRow(
                digest=bytes([number]) * 16,
                received_at=NOW,
                wish="other",
                recipient_id=ada,
                is_proven=True,
                body="It is me.",
                attachments=[],
            )
            inbound.handle(session, stored(session, mail).id, CONSOLE, now=NOW)

    write(1)
    lift(db)
    write(2)
    with db.reading() as session:
        rows = session.scalars(select(InboundRow).order_by(InboundRow.id))
        assert [one.body for one in rows] == ["It is me.", None]


def test_a_restored_backup_puts_off_what_the_journal_says_was_erased(
    db: Database, ada: int, tmp_path: Path
) -> None:
    """The hold is in the backup, and the order to erase came after it."""
    written = Journal(tmp_path / "refusals.jsonl")
    written.append(1, [Refusal(HASHER.hash(ADA), journal.ERASED, NOW)])
    place = Place(tmp_path, written, "machine")
    done = Adoption(
        db=db, place=place, hasher=HASHER, lists=None, actor=CONSOLE, clock=lambda: NOW
    ).run()
    assert done.refusals == {"erased": 1}
    assert is_known(db) and not gets(db, MessageClass.ADMINISTRATIVE)
    assert lift(db).erased is not None
