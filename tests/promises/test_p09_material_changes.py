"""P9: if we materially change how we use data collected before, we tell you by e-mail first."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from mailprefs import consent, languages, preferences, suppressions
from mailprefs.audit import Actor
from mailprefs.campaigns import drafts, states
from mailprefs.campaigns.drafts import Company as Details
from mailprefs.db.database import Gate
from mailprefs.errors import BadInput, CheckFailed, Conflict, NotAllowed
from mailprefs.jobs.policies import Policies
from mailprefs.notices import proof, publishing
from mailprefs.notices.checking import New, Terms
from mailprefs.notices.proof import Outcome, Sums
from mailprefs.notices.publishing import Published
from mailprefs.policy import (
    AddressOrigin,
    Choice,
    Purpose,
    Role,
    Source,
    SuppressionReason,
    TrackingBasis,
)
from mailprefs.preferences import Change, Door, lapsing, rebuilding
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.events import MailboxFact
from mailprefs.schema.opens import Open
from mailprefs.schema.people import Recipient, Subscription
from tests import factories
from tests.company import BASE, Company

ADA, BO, CY, DI = (f"{name}@example.org" for name in ("ada", "bo", "cy", "di"))
TERMS = Terms(Details("hello@example.com", "UTC"), 14)
SUMMARY = "We keep what we know of orders for two years instead of one."
V2 = New("v2", "# Privacy\n\nWe keep orders for two years.\n", SUMMARY)


def publish(company: Company, new: New = V2) -> Published:
    with company.db.transaction() as session:
        now = company.clock()
        return publishing.publish(session, new, company.author, terms=TERMS, now=now)


def notice_of(published: Published) -> int:
    assert published.notice is not None
    return published.notice.id


def approve(company: Company, number: int) -> None:
    with company.db.transaction() as session:
        states.approve(session, number, company.second, now=company.clock())


def tell(company: Company, published: Published) -> int:
    """Let the second person approve the notice, send it, and let what follows happen."""
    number = notice_of(published)
    approve(company, number)
    company.start(number)
    company.work()
    look(company)
    return number


def look(company: Company, basis: TrackingBasis = TrackingBasis.NOTICE) -> int:
    """Do what the service does by itself now and then; give how many answers ended."""
    job = Policies(db=company.db, unknown_region_basis=basis, clock=company.clock)
    return job.now()


def told(company: Company, number: int) -> list[str]:
    """List whom a campaign was handed over for, without filling the messages in."""
    mailings = [one for one in company.vendor.accepted if one.campaign_id == number]
    return sorted(person.address for mailing in mailings for person in mailing.people)


def sums(company: Company, name: str = "v2") -> Sums:
    with company.db.reading() as session:
        found = proof.sums(session, consent.version(session, name))
        lines = list(proof.lines(session, consent.version(session, name)))
    assert found.adds_up, found
    assert Counter((one.outcome, one.reason) for one in lines) == found.outcomes
    assert len({one.recipient for one in lines}) == len(lines)
    return found


def in_force(company: Company) -> str:
    with company.db.reading() as session:
        found = consent.current_policy(session, company.clock())
        assert found is not None
        return found.version


def erase(company: Company, ids: list[int]) -> None:
    """Take people away as an erasure does: rows and links gone, a keyed hash left."""
    with company.db.transaction(Gate.TAKING) as session:
        for person in session.scalars(select(Recipient).where(Recipient.id.in_(ids))).all():
            suppressions.add(
                session,
                person.address_hash,
                1,
                SuppressionReason.ERASED,
                Source.PREFERENCES,
                now=company.clock(),
            )
        session.execute(delete(Subscription).where(Subscription.recipient_id.in_(ids)))
        session.execute(
            update(Delivery).where(Delivery.recipient_id.in_(ids)).values(recipient_id=None)
        )
        session.execute(delete(Recipient).where(Recipient.id.in_(ids)))


def suppress(company: Company, ids: list[int], reason: SuppressionReason) -> None:
    with company.db.transaction(Gate.TAKING) as session:
        for hashed in session.scalars(select(Recipient.address_hash).where(Recipient.id.in_(ids))):
            suppressions.add(session, hashed, 1, reason, Source.VENDOR, now=company.clock())


def ids_of(company: Company) -> list[int]:
    with company.db.reading() as session:
        return list(session.scalars(select(Recipient.id).order_by(Recipient.id)))


@pytest.mark.faults
def test_the_journey_of_a_version_with_ten_thousand_people(company: Company) -> None:
    """Everyone reachable is told exactly once, the rest is listed with reasons."""
    company.bring(*(f"p{n}@example.org" for n in range(10_000)))
    ids = ids_of(company)
    take_some_away(company, ids)
    published = publish(company)
    number = tell(company, published)
    reached = told(company, number)
    assert len(reached) == len(set(reached)) == 9_900 - 200 - 50
    assert sums(company).outcomes == {
        (Outcome.HANDED_OVER, None): 9_650,
        (Outcome.KEPT_OUT, "hard_bounce"): 200,
        (Outcome.KEPT_OUT, "unconfirmed"): 50,
    }
    hear(company, number, delivered=5_000, bounced=10)
    erase(company, ids[-30:])
    company.bring(ADA, BO)
    found = sums(company)
    assert (found.at_freeze, found.later, found.erased) == (9_900, 2, 30)
    assert found.outcomes == {
        (Outcome.DELIVERED, None): 5_000,
        (Outcome.HANDED_OVER, None): 9_650 - 5_000 - 10 - 30,
        (Outcome.CAME_BACK, "bounced"): 10,
        (Outcome.KEPT_OUT, "hard_bounce"): 200,
        (Outcome.KEPT_OUT, "unconfirmed"): 50,
        (Outcome.NOT_YET, None): 2,
    }
    second = tell_the_rest(company)
    new = told(company, second)
    assert {ADA, BO} <= set(new) and len(new) == 12
    assert len(set(reached) & set(new)) == 10

    company.clock.pass_by(days=40)
    assert in_force(company) == "v2"
    company.bring(CY)
    assert versions_of_choices(company, CY) == [published.version.id]
    assert sums(company).outcomes[Outcome.CAME_LATER, None] == 1


def take_some_away(company: Company, ids: list[int]) -> None:
    """Erase a hundred people, and let others bounce, leave, complain, or never confirm."""
    erase(company, ids[:100])
    suppress(company, ids[100:300], SuppressionReason.HARD_BOUNCE)
    suppress(company, ids[300:800], SuppressionReason.UNSUBSCRIBED)
    suppress(company, ids[800:850], SuppressionReason.COMPLAINED)
    with company.db.transaction() as session:
        session.execute(
            update(Recipient)
            .where(Recipient.id.in_(ids[850:900]))
            .values(address_origin=AddressOrigin.UNCONFIRMED)
        )


def hear(company: Company, number: int, *, delivered: int, bounced: int) -> None:
    """Let the vendor tell what became of the first deliveries of a campaign."""
    with company.db.transaction() as session:
        query = select(Delivery.id).where(Delivery.campaign_id == number).order_by(Delivery.id)
        ids = session.scalars(query.limit(delivered + bounced)).all()
        session.add_all(
            MailboxFact(
                delivery_id=one,
                event="delivered" if at < delivered else "bounced",
                occurred_at=company.clock(),
            )
            for at, one in enumerate(ids)
        )


def tell_the_rest(company: Company, name: str = "v2") -> int:
    with company.db.transaction() as session:
        notice, is_new = publishing.rest(
            session, name, company.author, terms=TERMS, now=company.clock()
        )
        assert is_new
        version = consent.version(session, name)
    return tell(company, Published(version, notice, is_new=True))


def versions_of_choices(company: Company, address: str) -> list[int]:
    with company.db.reading() as session:
        history = consent.history(session, company.person(address).id)
    return [one.entry.policy_version_id for one in history]


# --- before it takes effect -----------------------------------------------------------------------


def test_a_notice_says_what_changes_from_when_on_and_where_to_read_it(company: Company) -> None:
    company.bring(ADA)
    published = publish(company)
    message = company.message(tell(company, published), ADA)
    date = languages.ENGLISH.date(published.version.effective_from)
    assert date in message.subject
    for part in (message.text, message.html):
        assert SUMMARY in part.replace("\n", " ")
        assert f"from {date} on" in part.replace("\n", " ")
        assert f"{BASE}/policy/first/changes/v2" in part
        assert "our privacy policy changes, and we promised to tell you" in part.replace("\n", " ")
    assert message.pixel is None


def test_a_notice_comes_in_the_language_of_each_person(company: Company) -> None:
    spoken = {f"{one.tag.lower()}@example.org": one for one in languages.every()}
    company.bring(*spoken)
    with company.db.transaction() as session:
        for address, language in spoken.items():
            session.get_one(Recipient, company.person(address).id).language = language.tag
    published = publish(company)
    number = tell(company, published)
    for address, language in spoken.items():
        message = company.message(number, address)
        date = language.date(published.version.effective_from)
        assert date in message.subject
        assert f"/policy/v2?lang={language.tag}" in message.text
        assert f'lang="{language.tag}"' in message.html


def test_nothing_is_in_force_before_everybody_was_told(company: Company) -> None:
    company.bring(ADA)
    published = publish(company)
    company.clock.pass_by(days=60)
    assert look(company) == 0
    assert in_force(company) == "first"
    with pytest.raises(Conflict, match="had to begin by"):
        tell(company, published)
    with company.db.transaction() as session:
        later = company.clock() + timedelta(days=20)
        publishing.postpone(session, "v2", later, company.author, terms=TERMS, now=company.clock())
    number, now = notice_of(published), company.clock()
    with company.db.reading() as session, pytest.raises(NotAllowed, match="isn't approved"):
        states.send(session, number, company.author, now=now, due_at=now)
    tell(company, published)
    assert in_force(company) == "first"
    company.clock.pass_by(days=21)
    assert in_force(company) == "v2"
    company.bring(BO)
    assert versions_of_choices(company, BO) == [published.version.id]


def test_one_person_alone_can_not_tell_everybody(company: Company) -> None:
    company.bring(ADA)
    number = notice_of(publish(company))
    with company.db.transaction() as session, pytest.raises(NotAllowed, match="second person"):
        states.approve(session, number, company.author, now=company.clock())
    with company.db.reading() as session, pytest.raises(Conflict, match="made from what was"):
        drafts.require_written(session.get_one(Campaign, number))


def test_a_date_that_leaves_no_time_to_tell_is_refused(company: Company) -> None:
    company.bring(ADA)
    with pytest.raises(BadInput, match="told 14 days before"):
        publish(company, V2._replace(effective_from=company.clock() + timedelta(days=13)))


def test_what_must_be_at_once_needs_a_reason_and_is_told_all_the_same(company: Company) -> None:
    company.bring(ADA)
    with pytest.raises(BadInput, match="reason"):
        publish(company, V2._replace(at_once="now"))
    published = publish(company, V2._replace(at_once="A court has ordered it."))
    assert in_force(company) == "v2"
    assert told(company, tell(company, published)) == [ADA]


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (V2._replace(summary=""), "say in a few sentences"),
        (V2._replace(summary=None, new_consent=(Purpose.OPEN_TRACKING,)), "material change"),
        (V2._replace(new_consent=(Purpose.PROMOTIONAL_EMAIL,)), "can be asked anew"),
        (V2._replace(text=" \n"), "empty"),
        (V2._replace(name="a/b"), "without a slash"),
        (V2._replace(name="v" * 65), "64 characters"),
        (V2._replace(text="x" * 200_001), "200,000"),
        (V2._replace(text="a\0b"), "control characters"),
        (V2._replace(name="first"), "another text"),
        (V2._replace(topic="newsletter"), "administrative"),
    ],
)
def test_a_version_that_can_not_be_is_refused_with_a_sentence(
    company: Company, new: New, sentence: str
) -> None:
    company.bring(ADA)
    with pytest.raises((BadInput, Conflict), match=sentence):
        publish(company, new)
    with company.db.reading() as session:
        assert [one.version for one in consent.versions(session)] == ["first"]


def test_publishing_the_same_again_makes_no_second_notice(company: Company) -> None:
    company.bring(ADA)
    first, again = publish(company), publish(company)
    assert not again.is_new
    assert notice_of(first) == notice_of(again)


def test_a_version_can_not_overtake_one_that_was_announced(company: Company) -> None:
    company.bring(ADA)
    publish(company)
    typo = New("v3", "# Privacy\n\nA typo less.\n")
    with pytest.raises(Conflict, match="Version v2 is to take effect"):
        publish(company, typo)
    with company.db.transaction() as session:
        publishing.withdraw(
            session, "v2", "It promised too much.", company.author, now=company.clock()
        )
    publish(company, typo)
    assert in_force(company) == "v3"


def test_who_was_told_is_not_told_again_however_often_the_rest_is_asked_for(
    company: Company,
) -> None:
    company.bring(ADA)
    tell(company, publish(company))
    company.bring(BO)
    assert told(company, tell_the_rest(company)) == [BO]
    with pytest.raises(CheckFailed, match="Nobody would get"):
        tell_the_rest(company)


def test_a_notice_that_was_stopped_half_way_is_sent_to_the_others(company: Company) -> None:
    company.bring(ADA, BO, CY, DI)
    number = notice_of(publish(company))
    approve(company, number)
    company.begin(number, batch_size=1).send_next()
    with company.db.transaction(Gate.TAKING) as session:
        states.cancel(session, number, company.author, now=company.clock())
    look(company)
    company.clock.pass_by(hours=1)
    assert sums(company).of(Outcome.HANDED_OVER) == 1
    assert sums(company).outcomes[Outcome.SKIPPED, "cancelled"] == 3
    assert len(told(company, tell_the_rest(company))) == 3
    assert sums(company).outcomes == {(Outcome.HANDED_OVER, None): 4}
    company.clock.pass_by(days=40)
    assert in_force(company) == "v2"


# --- consent that is asked anew -------------------------------------------------------------------


def say(company: Company, address: str, choice: Choice) -> None:
    """Let a person answer whether they may be measured."""
    person = company.person(address)
    with company.db.transaction(Gate.TAKING) as session:
        preferences.apply(
            session,
            person.id,
            lambda _: [Change(Purpose.OPEN_TRACKING, None, choice)],
            Door(Source.PREFERENCES, "button"),
            now=company.clock(),
        )


def answer(company: Company, address: str) -> Choice:
    return company.person(address).open_tracking


def asks_anew(company: Company) -> Published:
    """Publish a version that ends earlier consent, tell everybody, and let it take effect."""
    published = publish(company, V2._replace(new_consent=(Purpose.OPEN_TRACKING,)))
    tell(company, published)
    company.clock.pass_by(days=40)
    return published


def test_an_earlier_yes_ends_with_the_version_and_a_no_stays_a_no(company: Company) -> None:
    company.bring(ADA, BO, CY)
    say(company, ADA, Choice.GRANTED)
    say(company, BO, Choice.REFUSED)
    published = asks_anew(company)
    assert answer(company, ADA) is Choice.GRANTED
    assert look(company) == 1
    assert [answer(company, one) for one in (ADA, BO, CY)] == [
        Choice.UNKNOWN,
        Choice.REFUSED,
        Choice.UNKNOWN,
    ]
    with company.db.reading() as session:
        last = consent.history(session, company.person(ADA).id)[-1].entry
        assert list(rebuilding.differences(session)) == []
    assert (last.old, last.new, last.source) == ("granted", "unknown", Source.SYSTEM)
    assert last.policy_version_id == published.version.id
    assert look(company) == 0


def test_a_yes_that_ended_is_made_anew_from_the_ledger(company: Company) -> None:
    company.bring(ADA)
    say(company, ADA, Choice.GRANTED)
    asks_anew(company)
    look(company)
    with company.db.transaction(Gate.TAKING) as session:
        session.get_one(Recipient, company.person(ADA).id).open_tracking = Choice.GRANTED
    with company.db.transaction(Gate.TAKING) as session:
        assert rebuilding.rebuild(session) == 1
    assert answer(company, ADA) is Choice.UNKNOWN


def test_a_yes_under_the_new_version_stays(company: Company) -> None:
    company.bring(ADA)
    say(company, ADA, Choice.GRANTED)
    asks_anew(company)
    say(company, ADA, Choice.WITHDRAWN)
    say(company, ADA, Choice.GRANTED)
    assert look(company) == 0
    assert answer(company, ADA) is Choice.GRANTED


def test_from_its_moment_on_no_claim_reads_an_earlier_yes(company: Company) -> None:
    """Also while nobody has got round to ending it."""
    company.bring(ADA)
    say(company, ADA, Choice.GRANTED)
    with company.db.transaction() as session:
        session.get_one(Recipient, company.person(ADA).id).region = "DE"
    assert company.message(company.send(), ADA).pixel is not None
    asks_anew(company)
    assert company.message(company.send(), ADA).pixel is None
    look(company)
    assert company.message(company.send(), ADA).pixel is None
    say(company, ADA, Choice.GRANTED)
    assert company.message(company.send(), ADA).pixel is not None


def test_a_message_from_before_counts_no_opens_after(company: Company) -> None:
    company.bring(ADA, BO)
    with company.db.transaction() as session:
        for one in (ADA, BO):
            session.get_one(Recipient, company.person(one).id).region = "DE"
    for one in (ADA, BO):
        say(company, one, Choice.GRANTED)
    number = company.send()
    company.clock.pass_by(minutes=1)
    company.load(company.message(number, ADA))
    asks_anew(company)
    look(company)
    company.load(company.message(number, BO))
    with company.db.reading() as session:
        opened = session.scalars(select(Open.delivery_id)).all()
    assert opened == [company.message(number, ADA).delivery_id]


def test_ending_goes_on_where_it_broke_off(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lapsing, "_SLICE", 2)
    people = [f"p{n}@example.org" for n in range(5)]
    company.bring(*people)
    for one in people:
        say(company, one, Choice.GRANTED)
    asks_anew(company)
    with company.db.reading() as session:
        (lapse,) = lapsing.due(session, now=company.clock())
        ids = lapsing.next_people(session, lapse)
    for times in (2, 0):  # the second one finds that somebody was there before
        with company.db.transaction(Gate.TAKING) as session:
            ended = lapsing.end(
                session,
                lapse,
                ids,
                unknown_region_basis=TrackingBasis.NOTICE,
                now=company.clock(),
            )
            assert ended == times
    assert look(company) == 3
    assert {answer(company, one) for one in people} == {Choice.UNKNOWN}


def test_the_notice_asks_nobody_for_consent(company: Company) -> None:
    """Whoever said no within 180 days must not be asked again, and the notice goes to everybody."""
    company.bring(ADA)
    say(company, ADA, Choice.REFUSED)
    published = publish(company, V2._replace(new_consent=(Purpose.OPEN_TRACKING,)))
    text = company.message(tell(company, published), ADA).text.replace("\n", " ")
    assert "Whoever said no stays at no" in text
    assert "?" not in text.split("Whoever said no")[1].split("https://")[0]


def test_a_lawyer_reads_the_proof_and_a_marketer_does_not(company: Company) -> None:
    with company.db.transaction() as session:
        privacy = Actor(factories.make_staff(session, Role.PRIVACY).id, "page")
        marketer = Actor(factories.make_staff(session, Role.SEND, Role.DRAFT).id, "page")
        publishing.require_role(session, privacy)
        with pytest.raises(NotAllowed, match="admin or privacy"):
            publishing.require_role(session, marketer)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_versions SET state = 'announced'",
        "UPDATE policy_versions SET effective_from = '2020-01-01 00:00:00'",
        "UPDATE policy_versions SET summary = 'Nothing.'",
        "UPDATE policy_versions SET is_material = true",
    ],
)
def test_what_holds_of_a_version_never_changes(company: Company, statement: str) -> None:
    with company.db.transaction() as session:
        with pytest.raises(DBAPIError, match="never changes"):
            session.execute(text(statement))
        session.rollback()
