"""The world beside the ledger: who really has what, and what always holds between the two."""

from collections import Counter, defaultdict
from typing import ClassVar, Final

from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy import select

from mailprefs.audit import Actor
from mailprefs.campaigns import states
from mailprefs.db.database import Database
from mailprefs.deliveries import unknown
from mailprefs.deliveries.claim import Claim
from mailprefs.deliveries.counts import counts
from mailprefs.policy import MessageClass, Role
from mailprefs.schema.campaigns import Campaign, CampaignState
from mailprefs.schema.deliveries import Batch, BatchState, Delivery
from mailprefs.vendor.message import Event
from tests import factories
from tests.events import reported
from tests.sending import NOW, make_people

PEOPLE: Final = 5
_ENDED: Final = {CampaignState.FINISHED, CampaignState.HELD, CampaignState.CANCELLED}


class World(RuleBasedStateMachine):
    """Five people, a topic of each class, and the truth about every call."""

    db: ClassVar[Database]

    def store(self) -> None:
        """Store the company: topics, people, an author and a second person."""
        with self.db.transaction() as session:
            factories.make_policy(session)
            promotional = factories.make_topic(session)
            administrative = factories.make_topic(
                session, message_class=MessageClass.ADMINISTRATIVE
            )
            self.topics = {
                MessageClass.PROMOTIONAL: promotional.id,
                MessageClass.ADMINISTRATIVE: administrative.id,
            }
            people = make_people(session, promotional, PEOPLE)
            self.people = [person.id for person in people]
            self.author = Actor(factories.make_staff(session, *Role).id, "page")
            self.second = Actor(factories.make_staff(session, *Role).id, "page")
        self.campaigns: dict[int, MessageClass] = {}
        self.flying: list[Claim] = []
        self.lost: list[tuple[Claim, bool]] = []
        self.left: set[int] = set()
        self.pausing: set[int] = set()
        # Who wants one a week, and by which campaign that was claimed, None by none so far.
        self.weekly: dict[int, int | None] = {}
        self.reached: defaultdict[int, list[int]] = defaultdict(list)
        self.accepted: dict[int, Claim] = {}
        self.allowed: Counter[int] = Counter()
        self.taken_as_sent: set[int] = set()
        self.heard: set[int] = set()
        self.known: set[int] = set()
        self.settled: set[int] = set()
        self.drafts: set[int] = set()
        self.has_unclear = False

    # What always holds

    @invariant()
    def nobody_twice_without_a_decision(self) -> None:
        """Hold the copies that people have against the decisions that allow them."""
        for delivery_id, calls in getattr(self, "reached", {}).items():
            assert len(calls) <= 1 + self.allowed[delivery_id], "somebody got it twice"

    @invariant()
    def the_sums_match_and_copies_are_on_record(self) -> None:
        """Hold each campaign's counts against each other, and its copies against the truth."""
        numbers = getattr(self, "campaigns", {})
        with self.db.reading() as session:
            found = {
                number: (counts(session, number), unknown.copies(session, number))
                for number in numbers
            }
        for number, (sums, copies) in found.items():
            assert sums.adds_up, sums
            twice = sum(
                len(calls) - 1
                for delivery_id, calls in self.reached.items()
                if delivery_id >> 32 == number
            )
            assert twice <= copies.possible + copies.certain, "a second copy is not on record"

    def check_ended(self, number: int) -> None:
        """Check that a campaign that was sent has ended, and that what it calls sent was sent."""
        with self.db.reading() as session:
            campaign = session.get_one(Campaign, number)
            found = counts(session, number)
            sent = session.scalars(
                select(Delivery.id)
                .join(Batch, Delivery.id.between(Batch.first_id, Batch.last_id))
                .where(Delivery.campaign_id == number, Batch.campaign_id == number)
                .where(Batch.state == BatchState.SENT, Delivery.own_state.is_(None))
            ).all()
        if campaign.state is CampaignState.DRAFT:
            return
        assert campaign.state in _ENDED, campaign.state
        assert found.pending == 0
        assert (campaign.state is CampaignState.HELD) <= (found.unknown > 0)
        for delivery_id in sent:
            is_true = delivery_id in self.reached or delivery_id in self.taken_as_sent
            assert is_true, "somebody is called sent and was forgotten"

    def send(self, number: int) -> None:
        with self.db.transaction() as session:
            states.send(session, number, self.author, now=NOW, due_at=NOW)

    def one(self, i: int, kind: MessageClass | None = None) -> int | None:
        """Give one of the campaigns, of a class where one is asked for."""
        found = [number for number, of in self.campaigns.items() if kind in {None, of}]
        return found[i % len(found)] if found else None

    def reach(self, taken: Claim) -> None:
        """Note that the vendor really accepted a call."""
        self.accepted[taken.held.hand_over_id] = taken
        for person in taken.people:
            self.reached[person.delivery_id].append(taken.held.hand_over_id)

    def check_less(self, taken: Claim) -> None:
        """Check that a promotional claim holds nobody who pauses or has had this week's message."""
        if taken.picked.message_class is MessageClass.ADMINISTRATIVE:
            return
        claimed = {person.recipient_id for person in taken.people}
        assert not claimed & self.pausing, "a promotional claim holds somebody who pauses"
        for person in claimed & self.weekly.keys():
            by = self.weekly[person]
            assert by in {None, taken.held.campaign_id}, "two campaigns reach somebody in a week"
            self.weekly[person] = taken.held.campaign_id

    def know(self, taken: Claim) -> None:
        """Note that an answer or an event has told that a call was accepted."""
        self.known.update(person.delivery_id for person in taken.people)

    def hear(self, i: int, kind: Event) -> int:
        """Apply an event of somebody in a call that was accepted; give who it is."""
        numbers = sorted(self.accepted)
        taken = self.accepted[numbers[i % len(numbers)]]
        person = taken.people[i % len(taken.people)]
        reported.apply(self.db, reported.event(person.delivery_id, kind, attempt=taken.attempt))
        self.heard.add(taken.held.hand_over_id)
        self.know(taken)
        return person.recipient_id

    def unknown(self, *numbers: int) -> dict[int, list[int]]:
        """Give the deliveries that are unknown, by their call."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        with self.db.reading() as session:
            rows = session.execute(
                select(Batch.hand_over_id, Delivery.id)
                .join(Delivery, Delivery.id.between(Batch.first_id, Batch.last_id))
                .where(Batch.campaign_id.in_(numbers), Batch.state == BatchState.UNKNOWN)
                .where(Delivery.own_state.is_(None))
            )
            for hand_over_id, delivery_id in rows:
                found[hand_over_id or 0].append(delivery_id)
        return dict(found)
