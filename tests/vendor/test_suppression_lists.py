"""The vendor's suppression lists over HTTP, as the sandbox keeps them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mailprefs.sandbox.server import Sandbox
from mailprefs.sandbox.settings import SandboxSettings
from mailprefs.vendor.suppression_lists import (
    Listed,
    ListName,
    ListsForbidden,
    ListsUnavailable,
    SuppressionLists,
)

KEY = "SG.may-read"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings(read_key=KEY)) as running:
        yield running


@pytest.fixture
def lists(sandbox: Sandbox) -> Iterator[SuppressionLists]:
    found = SuppressionLists(KEY, sandbox.url)
    yield found
    found.close()


def test_a_list_longer_than_a_page_comes_whole(sandbox: Sandbox, lists: SuppressionLists) -> None:
    for number in range(1_203):
        sandbox.webhook.lists.put("bounces", f"p{number}@example.net", status="5.1.1")
    found = list(lists.listed(ListName.BOUNCES, since=LONG_AGO, until=soon()))
    assert len({one.address for one in found}) == len(found) == 1_203
    assert {one.status for one in found} == {"5.1.1"}
    assert all(abs(one.since - datetime.now(UTC)) < timedelta(minutes=1) for one in found)


def test_pages_of_long_reasons_come_whole(sandbox: Sandbox, lists: SuppressionLists) -> None:
    for number in range(700):
        sandbox.webhook.lists.put("bounces", f"p{number}@example.net", reason="refused " * 250)
    found = list(lists.listed(ListName.BOUNCES, since=LONG_AGO, until=soon()))
    assert len({one.address for one in found}) == len(found) == 700


def test_only_what_came_in_the_time_asked_for(sandbox: Sandbox, lists: SuppressionLists) -> None:
    sandbox.webhook.lists.put("spam_reports", "jane@example.net")
    assert list(lists.listed(ListName.COMPLAINTS, since=soon(), until=soon())) == []
    assert list(lists.listed(ListName.LEFT, since=LONG_AGO, until=soon())) == []
    (one,) = lists.listed(ListName.COMPLAINTS, since=LONG_AGO, until=soon())
    assert one.address == "jane@example.net"
    assert "jane" not in repr(one)


def test_one_address_is_asked_for_and_taken_off(sandbox: Sandbox, lists: SuppressionLists) -> None:
    address = "o'hara+news@example.net"
    sandbox.webhook.lists.put("bounces", address)
    assert lists.holds(ListName.BOUNCES, address)
    assert not lists.holds(ListName.INVALID, address)
    assert lists.take_off(ListName.BOUNCES, address)
    assert not lists.holds(ListName.BOUNCES, address)
    assert not lists.take_off(ListName.BOUNCES, address)


def test_a_key_that_may_only_send_is_told_what_to_do(sandbox: Sandbox) -> None:
    for lists in (SuppressionLists("SG.send-only", sandbox.url), SuppressionLists("", sandbox.url)):
        with pytest.raises(ListsForbidden, match="MAILPREFS_SENDGRID_READ_KEY") as told:
            list(lists.listed(ListName.BOUNCES, since=LONG_AGO, until=soon()))
        assert "SG." not in str(told.value)
        lists.close()


def test_a_vendor_that_is_not_there_is_told_in_a_sentence() -> None:
    lists = SuppressionLists(KEY, "http://127.0.0.1:9")
    with pytest.raises(ListsUnavailable, match="No connection to the vendor"):
        list(lists.listed(ListName.BOUNCES, since=LONG_AGO, until=soon()))


def test_an_entry_without_address_or_time_is_passed_over(
    sandbox: Sandbox, lists: SuppressionLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [{}, 7, {"email": "x"}, {"email": "a@example.net", "created": "now"}]
    good = {"email": "b@example.net", "created": 1_700_000_000, "status": "<html>"}
    monkeypatch.setattr(sandbox.webhook.lists, "page", lambda *_, **__: [*odd, good])
    found = list(lists.listed(ListName.BOUNCES, since=LONG_AGO, until=soon()))
    assert found == [Listed("b@example.net", datetime.fromtimestamp(1_700_000_000, UTC), None)]
