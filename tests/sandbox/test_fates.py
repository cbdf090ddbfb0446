"""What the sandbox can be told to report: bounces, complaints and leaving, and who is held back."""

from collections import Counter

import pytest

from mailprefs.errors import BadInput
from mailprefs.events.meaning import Fact, Meaning, meaning
from mailprefs.policy import SuppressionReason
from mailprefs.sandbox import fates
from mailprefs.sandbox.fates import Fate, Kind
from mailprefs.sandbox.server import Sandbox
from mailprefs.vendor.sendgrid import SendGrid, parse_events
from tests.sandbox.test_checks import ask
from tests.sandbox.test_webhook import Service, hand_over, sandbox, service
from tests.vendor.mailings import administrative

__all__ = ["sandbox", "service"]

PERSON = "person1@example.net"


def told(service: Service, address: str = PERSON) -> list[str]:
    """Give what was reported of one address, in order."""
    return [one["event"] for one in service.events if one["email"] == address]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.BOUNCE, ["processed", "bounce"]),
        (Kind.BLOCKED, ["processed", "bounce"]),
        (Kind.INVALID, ["dropped"]),
        (Kind.DROPPED, ["dropped"]),
        (Kind.DEFERRED, ["processed", "deferred", "delivered"]),
        (Kind.SPAMREPORT, ["processed", "delivered", "spamreport"]),
        (Kind.UNSUBSCRIBE, ["processed", "delivered", "unsubscribe"]),
        (Kind.GROUP_UNSUBSCRIBE, ["processed", "delivered", "group_unsubscribe"]),
        (Kind.GROUP_RESUBSCRIBE, ["processed", "delivered", "group_resubscribe"]),
    ],
)
def test_an_address_meets_its_fate_and_the_others_are_delivered(
    sandbox: Sandbox, service: Service, kind: Kind, words: list[str]
) -> None:
    sandbox.webhook.fates.put([Fate(kind=kind, address=PERSON.upper())])
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    assert told(service) == words
    assert told(service, "person2@example.net") == ["processed", "delivered"]
    for _, _, raw in service.posts:
        assert parse_events(raw).malformed == ()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Kind.BOUNCE, Meaning(Fact.BOUNCED, SuppressionReason.HARD_BOUNCE)),
        (Kind.BLOCKED, Meaning(Fact.BLOCKED, is_soft=True)),
        (Kind.INVALID, Meaning(Fact.DROPPED, SuppressionReason.INVALID, is_echo=True)),
        (Kind.DROPPED, Meaning(Fact.DROPPED, is_echo=True)),
        (Kind.DEFERRED, Meaning(Fact.DELIVERED)),
        (Kind.SPAMREPORT, Meaning(Fact.COMPLAINED, SuppressionReason.COMPLAINED, leaves=True)),
        (Kind.UNSUBSCRIBE, Meaning(Fact.UNSUBSCRIBED, leaves=True)),
        (Kind.GROUP_UNSUBSCRIBE, Meaning(Fact.UNSUBSCRIBED, leaves=True)),
        (Kind.GROUP_RESUBSCRIBE, Meaning()),
    ],
)
def test_the_service_understands_each_fate(
    sandbox: Sandbox, service: Service, kind: Kind, said: Meaning
) -> None:
    sandbox.webhook.fates.put([Fate(kind=kind)])
    hand_over(sandbox, 1)
    assert sandbox.webhook.wait()
    events = [one for _, _, raw in service.posts for one in parse_events(raw).events]
    assert meaning(events[-1]) == said


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Kind.BOUNCE, "Bounced Address"),
        (Kind.INVALID, "Invalid"),
        (Kind.SPAMREPORT, "Spam Reporting Address"),
        (Kind.UNSUBSCRIBE, "Unsubscribed Address"),
        (Kind.BLOCKED, None),
        (Kind.DEFERRED, None),
    ],
)
def test_who_is_on_a_list_is_dropped_from_then_on(
    sandbox: Sandbox, service: Service, kind: Kind, reason: str | None
) -> None:
    sandbox.webhook.fates.put([Fate(kind=kind, address=PERSON)])
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    sandbox.webhook.fates.put(())
    service.posts.clear()
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    if reason is None:
        assert told(service) == ["processed", "delivered"]
    else:
        (dropped,) = [one for one in service.events if one["email"] == PERSON]
        assert (dropped["event"], dropped["reason"]) == ("dropped", reason)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Kind.UNSUBSCRIBE, ["processed", "delivered"]), (Kind.SPAMREPORT, ["dropped"])],
)
def test_a_notice_passes_the_list_of_who_left_and_no_other(
    sandbox: Sandbox, service: Service, kind: Kind, words: list[str]
) -> None:
    sandbox.webhook.fates.put([Fate(kind=kind, address=PERSON)])
    hand_over(sandbox)
    assert sandbox.webhook.wait()
    sandbox.webhook.fates.put(())
    service.posts.clear()
    carrier = SendGrid("SG.any", sandbox.url)
    carrier.hand_over(administrative(1))
    carrier.close()
    assert sandbox.webhook.wait()
    assert told(service) == words


def test_a_share_of_all_addresses_is_the_same_each_time() -> None:
    fate = Fate(kind=Kind.BOUNCE, share=0.2)
    met = [fate.concerns(f"person{number}@example.net") for number in range(5_000)]
    assert 0.17 < sum(met) / len(met) < 0.23
    assert met == [fate.concerns(f"Person{number}@example.net") for number in range(5_000)]
    assert not Fate(kind=Kind.BOUNCE, share=0).concerns(PERSON)
    assert Fate(kind=Kind.BOUNCE, share=1).concerns(PERSON)


def test_shuffled_events_come_in_as_many_copies_and_none_is_lost(
    sandbox: Sandbox, service: Service
) -> None:
    sandbox.webhook.change(shuffled=True, copies=3)
    hand_over(sandbox, 60)
    assert sandbox.webhook.wait()
    counted = Counter((one["email"], one["event"]) for one in service.events)
    assert set(counted.values()) == {3}
    assert len(counted) == 120
    order = [one["email"] for one in service.events if one["event"] == "processed"]
    in_turn = [f"person{number}@example.net" for number in range(1, 61) for _ in range(3)]
    assert order != in_turn


def test_fates_are_set_over_http(sandbox: Sandbox, service: Service) -> None:
    wish = [{"kind": "bounce", "address": PERSON}, {"kind": "spamreport", "share": 0.5}]
    assert ask(sandbox, "POST", "/sandbox/fates", wish)[0] == 200
    assert [one["kind"] for one in sandbox.webhook.fates.now()] == ["bounce", "spamreport"]
    assert ask(sandbox, "DELETE", "/sandbox/fates")[0] == 200
    assert sandbox.webhook.fates.now() == []


@pytest.mark.parametrize(
    "wish", [None, {}, {"kind": "lost"}, {"kind": "bounce", "share": 2}, {"kind": "bounce", "x": 1}]
)
def test_a_fate_that_makes_no_sense_is_refused(wish: object) -> None:
    with pytest.raises(BadInput):
        fates.read(wish)
