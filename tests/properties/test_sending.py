"""Nobody twice, nobody forgotten: in whatever order things happen.

The normal suite looks at a fixed choice of histories. ``MAILPREFS_TESTS_HISTORIES=2000`` looks at
so many others, which are new each time.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import select

from mailprefs.db.database import Database
from mailprefs.deliveries import outcome, people, proof, weekly
from mailprefs.deliveries.people import Found
from mailprefs.policy import MessageClass, TrackingMode
from mailprefs.rendering.person import Person, Persons
from mailprefs.schema.deliveries import BatchState, Delivery
from mailprefs.vendor.message import Event, Verdict
from tests.properties.sending import Sending

pytestmark = pytest.mark.faults

HISTORIES = int(os.environ.get("MAILPREFS_TESTS_HISTORIES", "0"))
PROFILE = settings(
    max_examples=HISTORIES or 6,
    stateful_step_count=40 if HISTORIES else 25,
    derandomize=not HISTORIES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=bool(HISTORIES),
)


def look(db: Database) -> None:
    """Run histories on one database, which each of them leaves without work."""
    machine: Any = type("SendingHere", (Sending,), {"db": db})
    run_state_machine_as_test(machine, settings=PROFILE)


@pytest.mark.timeout(10 * HISTORIES or 120)
def test_whatever_happens_nobody_gets_it_twice_and_nobody_is_forgotten(db: Database) -> None:
    look(db)


def send_again_what_is_unclear(patch: pytest.MonkeyPatch) -> None:
    """Take an unclear answer for a refusal."""
    settled = getattr(outcome, "_settled")  # noqa: B009 - it is private, and broken on purpose
    patch.setattr(outcome, "_UNKNOWN", settled(BatchState.PENDING, BatchState.SENDING))


def ask_nobody_again(patch: pytest.MonkeyPatch) -> None:
    """Claim without the last check."""

    def careless(*args: Any, **options: Any) -> Found:  # noqa: ANN401 - as the real one
        found = read(*args, **options)
        session, picked = args[0], args[1]
        left = [
            Person(row.recipient_id, "left@example.org", "", "", {}, "en", row.id, TrackingMode.OFF)
            for row in session.execute(
                select(Delivery.id, Delivery.recipient_id).where(
                    Delivery.id.between(picked.first_id, picked.last_id),
                    Delivery.id.in_(found.skipped),
                )
            )
        ]
        found.people = Persons.of([*found.people, *left])
        found.skipped.clear()
        return found

    read = people.read
    patch.setattr(people, "read", careless)


def forget_earlier_calls(patch: pytest.MonkeyPatch) -> None:
    """Believe of no earlier call that it was accepted."""
    patch.setattr(proof, "earlier", lambda *_: proof.Earlier(None, may_be_accepted=True))


def forget_whom_a_campaign_reached(patch: pytest.MonkeyPatch) -> None:
    """Claim people who want one message a week without noting it."""
    patch.setattr(weekly, "take_turns", lambda *_, **__: set())


def refuse_the_second_call(world: Sending) -> None:
    """Lose an answer, have it sent again, learn that it was accepted, and refuse the second call.

    Whatever is claimed then, nobody gets a third one.
    """
    world.claim()
    world.leave_unclear(i=0, is_accepted=True)
    for i in range(len(world.campaigns)):
        world.decide(i=i, resend=True)
    world.claim()
    world.report(i=0, kind=Event.DELIVERED)
    world.refuse(i=0, verdict=Verdict.LATER)
    world.wait()
    world.claim()


def lose_an_answer(world: Sending) -> None:
    """Let the vendor accept a call whose answer is lost, and go on."""
    world.claim()
    world.leave_unclear(i=0, is_accepted=True)
    world.claim()
    world.accept(i=0)
    world.nobody_twice_without_a_decision()


def let_everybody_pause(world: Sending) -> None:
    """Let everybody pause, and go on."""
    for i in range(5):
        world.pause(i=i, days=30)
    go_on(world)


def let_everybody_ask_for_one_a_week(world: Sending) -> None:
    """Let everybody want one message a week, and send them two campaigns."""
    for i in range(5):
        world.ask_for_one_a_week(i=i)
    world.write(kind=MessageClass.PROMOTIONAL)
    while world.freeze_a_slice():
        pass
    go_on(world)


def let_everybody_leave(world: Sending) -> None:
    """Let everybody leave, and go on."""
    for i in range(5):
        world.opt_out(i=i)
    go_on(world)


def go_on(world: Sending) -> None:
    """Send what there is."""
    for _ in range(9):
        world.claim()
        if world.flying:
            world.accept(i=0)


@pytest.mark.parametrize(
    ("plant", "history", "found"),
    [
        (send_again_what_is_unclear, lose_an_answer, "got it twice"),
        (forget_earlier_calls, refuse_the_second_call, "known to have it"),
        (ask_nobody_again, let_everybody_leave, "had left before it"),
        (ask_nobody_again, let_everybody_pause, "somebody who pauses"),
        (forget_whom_a_campaign_reached, let_everybody_ask_for_one_a_week, "in a week"),
    ],
)
def test_the_machine_sees_a_planted_fault(
    db: Database,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    history: Callable[[Sending], None],
    found: str,
) -> None:
    """A history that is well without the fault; long searches find it by themselves, too."""
    machine: Any = type("SendingHere", (Sending,), {"db": db})
    sound = machine()
    sound.begin()
    history(sound)
    sound.teardown()
    plant(monkeypatch)
    broken = machine()
    broken.begin()
    with pytest.raises(AssertionError, match=found):
        history(broken)
