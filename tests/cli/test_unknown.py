"""What is unknown, at the console: shown, decided about once, by whoever may."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from mailprefs import audit
from mailprefs.deliveries import freeze, unknown
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import HandOver, VendorPace
from mailprefs.schema.events import VendorEventRow
from mailprefs.vendor.message import Outcome, Verdict
from tests.cli.conftest import ADMIN, Shell
from tests.sending import NOW, TERMS, answer, take_one

UNCLEAR = Outcome(verdict=Verdict.UNCLEAR, reason="No answer came within 60 seconds.")


@pytest.fixture
def held(people: Shell, letter: int) -> int:
    """Give the number of a campaign to two people of whom nobody knows whether they got it."""
    db, now = people.db, datetime.now(UTC)
    with db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.SCHEDULED, due_at=now))
        freeze.begin_due(session, now=now)
    is_done = False
    while not is_done:
        with db.transaction() as session:
            progress = freeze.step(session, letter, batch_size=10, now=now)
        is_done = progress is None or progress.is_done
    answer(db, take_one(db, TERMS), UNCLEAR)
    with db.transaction() as session:
        session.execute(update(Campaign).values(state=CampaignState.HELD))
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        session.execute(update(HandOver).values(ended_at=long_ago))
    db.close()
    return letter


def lost_just_now(people: Shell) -> None:
    """Let the answer have been lost a moment ago."""
    db = people.db
    with db.transaction() as session:
        session.execute(update(HandOver).values(ended_at=datetime.now(UTC)))
    db.close()


def test_deciding_before_events_had_their_time_takes_a_yes(people: Shell, held: int) -> None:
    lost_just_now(people)
    for decision, danger in (("--resend", "send it twice"), ("--accept", "without it")):
        refused = people("campaign", "unknown", held, decision)
        assert (refused.status, len(refused.sentences)) == (1, 1)
        assert "Events usually settle this by " in refused.err
        assert refused.err.rstrip().endswith(f"{danger}. To decide now: --yes")
    assert people.ask("campaign", "show", held)["unknown"] == 2
    assert people.do("campaign", "unknown", held, "--resend", "--yes") == (
        "2 people of whom it was unknown will be sent it again as soon as sending goes on; "
        "whoever has left is skipped."
    )


def test_until_when_nothing_needs_doing_is_said(people: Shell, held: int) -> None:
    assert "haven't settled it by" in people.do("campaign", "unknown", held)
    lost_just_now(people)
    people.set(SETTLE_TIME="600")
    said = people.do("campaign", "unknown", held)
    assert "No event has come from the vendor since." in said
    assert "Until then nothing needs doing." in said
    told = people.ask("campaign", "unknown", held)
    (batch,) = told["batches"]
    lasts = datetime.fromisoformat(batch["settles_at"]) - datetime.fromisoformat(batch["since"])
    assert lasts == timedelta(minutes=10)
    assert told["settles_at"] == batch["settles_at"]
    assert people.ask("campaign", "show", held)["settles_at"] == batch["settles_at"]
    db, now = people.db, datetime.now(UTC)
    with db.transaction() as session:
        session.add(
            VendorEventRow(natural_key="a", kind="delivered", received_at=now, occurred_at=now)
        )
    db.close()
    assert "Events do come" in people.do("campaign", "unknown", held)


def test_waiting_for_a_held_campaign_ends_with_the_next_step(people: Shell, held: int) -> None:
    said = people("campaign", "wait", held)
    assert said.status == 3
    assert said.out.rstrip().endswith(f"2 unknown: mailprefs campaign unknown {held}")


def test_it_is_shown_with_the_reason_and_both_commands(people: Shell, held: int) -> None:
    said = people.do("campaign", "unknown", held)
    assert "No answer came within 60 seconds." in said
    assert f"mailprefs campaign unknown {held} --resend" in said
    assert f"mailprefs campaign unknown {held} --accept" in said
    told = people.ask("campaign", "unknown", held)
    assert (told["id"], told["people"]) == (held, 2)
    assert told["second_copies"] == {"possible": 0, "certain": 0}
    (batch,) = told["batches"]
    assert batch["people"] == 2
    assert batch["reason"] == "No answer came within 60 seconds."


def test_the_campaign_says_why_it_is_held_and_what_to_do(people: Shell, held: int) -> None:
    said = people.do("campaign", "show", held)
    assert "is held" in said
    assert "Whether 2 people got this is unknown" in said
    assert f"mailprefs campaign unknown {held}" in said


def test_resending_lets_the_campaign_go_on(people: Shell, held: int) -> None:
    told = people.ask("campaign", "unknown", held, "--resend", "--as", ADMIN)
    assert told == {"id": held, "decision": "resent", "batches": 1, "people": 2}
    shown = people.ask("campaign", "show", held)
    assert (shown["state"], shown["unknown"], shown["pending"]) == ("sending", 0, 2)
    again = people("campaign", "unknown", held, "--resend")
    assert again.status == 1
    assert again.sentences == [
        f"mailprefs: Nothing of campaign {held} is unknown any more; nothing was changed."
    ]


def test_accepting_ends_the_campaign_and_is_audited(people: Shell, held: int) -> None:
    said = people.do("campaign", "unknown", held, "--accept", "--as", ADMIN)
    assert said == f"2 people of campaign {held} are taken as sent."
    shown = people.ask("campaign", "show", held)
    assert (shown["state"], shown["sent"], shown["unknown"]) == ("finished", 2, 0)
    assert people.do("campaign", "unknown", held).startswith(
        f"Nothing of campaign {held} is unknown"
    )
    db = people.db
    with db.reading() as session:
        entry = audit.of(session, ("campaign", held))[-1]
    db.close()
    assert (entry.action, entry.door) == ("campaign.unknown_accepted", "console")
    assert entry.details == {"batches": 1, "people": 2}
    assert entry.staff_id is not None


def test_it_takes_one_decision_and_the_role(people: Shell, held: int) -> None:
    assert people("campaign", "unknown", held, "--resend", "--accept").status == 2
    assert people("campaign", "unknown", held, "--accept", "--as", "ilse@example.com").status == 1
    assert people("campaign", "unknown", 99).status == 1
    assert people.ask("campaign", "unknown", held)["people"] == 2


def test_second_copies_stand_in_the_sum(people: Shell, held: int) -> None:
    people.do("campaign", "unknown", held, "--resend")
    db = people.db
    answer(db, take_one(db, TERMS))
    with db.reading() as session:
        assert unknown.copies(session, held).possible == 2
    db.close()
    assert "possible second copies" in people.do("campaign", "show", held)
    assert people.ask("campaign", "show", held)["second_copies"] == {"possible": 2, "certain": 0}


def test_an_open_breaker_is_told_with_its_next_probe(people: Shell, held: int) -> None:
    assert people.ask("sending", "show")["breaker"] is None
    db = people.db
    with db.transaction() as session:
        session.execute(
            update(VendorPace).values(unclear=3, opened_at=NOW, probe_at=NOW, probing_id=None)
        )
        session.execute(update(Campaign).values(state=CampaignState.SENDING))
        assert session.scalar(select(VendorPace.unclear)) == 3
    db.close()
    told = people.ask("sending", "show")["breaker"]
    assert told == {
        "open_since": NOW.isoformat(),
        "unclear_in_a_row": 3,
        "next_probe": NOW.isoformat(),
        "probing": False,
    }
    said = people.do("sending", "show")
    assert "answered nothing clear since 22 Nov 2026, 09:30 UTC (3 calls in a row)" in said
    assert "; the next message tries it." in said
    later = datetime(2126, 11, 22, 9, 30, tzinfo=UTC)
    with db.transaction() as session:
        session.execute(update(VendorPace).values(probe_at=later))
    db.close()
    said = people.do("sending", "show")
    assert "the next try is at 22 Nov 2126, 09:30:00 UTC" in said
    assert "answered nothing clear" in people.do("campaign", "show", held)
