import sys

import mailprefs.vendor.message as shapes
from mailprefs.vendor.message import Event
from tests.vendor.mailings import person, promotional


def test_no_shape_shows_an_address_or_a_merge_value_when_printed() -> None:
    mailing = promotional(1)
    for shown in (repr(mailing), str(mailing), repr(person(1)), f"{person(1)}", repr([person(1)])):
        for secret in ("example.net", "Zoë", "token1", "Hello"):
            assert secret not in shown


def test_a_printed_person_can_still_be_found_again() -> None:
    assert str(person(7).delivery_id) in repr(person(7))


def test_the_words_of_events_are_those_of_django_anymail() -> None:
    assert {event.value for event in Event} == {
        "queued", "sent", "rejected", "failed", "bounced", "deferred", "delivered", "opened",
        "clicked", "complained", "unsubscribed", "subscribed", "unknown",
    }  # fmt: skip


def test_the_shapes_need_nothing_but_python_and_the_policy() -> None:
    used = {
        value.__module__.partition(".")[0]
        for value in vars(shapes).values()
        if hasattr(value, "__module__")
    }
    assert used <= {"mailprefs", *sys.stdlib_module_names}
