"""Signing up below the pages: at once, in the words of several forms, and with choices between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256

from mailprefs import consent, preferences, recipients
from mailprefs.db.database import Database, Gate
from mailprefs.links import Links
from mailprefs.policy import Purpose, Source
from mailprefs.preferences import Door, signing_up
from mailprefs.preferences.signing_up import Asked, House
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.people import Recipient
from tests.factories import HASHER
from tests.preferences.people import NOW, ONE_CLICK, World, entries, settle, states

NEW = "new.person@example.com"
HOUSE = House(
    HASHER,
    Links([sha256(b"the key of links that lead nowhere").digest()]),
    "https://mail.example.com",
)
BUTTON = Door(Source.SIGN_UP, "confirmation_link")


def ask(db: Database, *topics: int, address: str = NEW, words: str = "Yes, please.") -> int:
    """Sign an address up; give whose it is."""
    with db.transaction(Gate.TAKING) as session:
        consent.lock(session)
        wording = consent.wording(session, Purpose.PROMOTIONAL_EMAIL, "en", words)
        asked = Asked(address, topics, wording, "en", Source.SIGN_UP)
        signing_up.ask(session, HOUSE, asked, now=NOW)
        person = recipients.find(session, HASHER, address)
        assert person is not None
        return person.id


def confirm(db: Database, recipient_id: int, *topics: int) -> preferences.Applied:
    now = NOW + timedelta(hours=1)
    with db.transaction(Gate.TAKING) as session:
        return signing_up.confirm(session, recipient_id, topics, BUTTON, now=now)


def test_many_at_once_are_one_person_one_mail_and_one_entry(db: Database) -> None:
    world = settle(db)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: ask(db, world.news), range(8)))
    (number,) = found
    assert len(entries(db, number)) == 1
    with db.reading() as session:
        assert session.query(Recipient).count() == 2
        assert session.query(Delivery).filter_by(recipient_id=number).count() == 1


def test_each_yes_has_the_words_of_its_own_form(db: Database) -> None:
    world = settle(db)
    number = ask(db, world.news, words="The news, please.")
    ask(db, world.offers, words="Offers, please.")
    assert confirm(db, number, world.news, world.offers).has_changed
    assert set(states(db, number).values()) == {"subscribed"}
    said = {}
    with db.reading() as session:
        for one in entries(db, number):
            assert one.entry.wording is not None
            words = consent.wording_text(session, one.entry.wording.id)
            said[one.entry.topic_id, one.entry.new] = words
    assert said[world.news, "subscribed"] == "The news, please."
    assert said[world.offers, "subscribed"] == "Offers, please."


def test_an_administrative_topic_is_never_waited_for(db: Database) -> None:
    world = settle(db)
    number = ask(db, world.news, world.account)
    with db.reading() as session:
        waits = signing_up.waiting(session, number, NOW)
        assert [one.topic_id for one in waits] == [world.news]


def test_a_no_after_the_sign_up_holds_until_the_button(db: Database) -> None:
    world = settle(db)
    ask(db, world.offers, address="ann@example.com")
    leave(db, world)
    assert set(states(db, world.ann).values()) == {"unsubscribed"}
    confirm(db, world.ann, world.offers)
    assert states(db, world.ann) == {world.news: "unsubscribed", world.offers: "subscribed"}
    assert confirm(db, world.ann, world.offers).changes == ()


def test_nobody_and_somebody_who_is_gone_confirm_nothing(db: Database) -> None:
    settle(db)
    assert not confirm(db, 99_999, 1).is_known


def leave(db: Database, world: World) -> None:
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, world.ann, ONE_CLICK, now=NOW)
