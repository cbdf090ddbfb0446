"""Where a user agent isn't enough: Apple's list, bursts, and the country, by who asks."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailprefs import relays, spool
from mailprefs.app import create_app
from mailprefs.spool import Record
from mailprefs.useragents import Client, OpenKind, Reason, digest
from mailprefs.web import fetches
from mailprefs.web.fetches import BURST_PEOPLE, BURST_SECONDS, Bursts
from mailprefs.web.parts import Parts
from tests.mmdb import write_mmdb
from tests.web.conftest import Clock
from tests.web.test_pixel import OUTLOOK

APPLE = "Mozilla/5.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/16.0 Safari/605.1.15"
)
RELAY, ELSEWHERE, OTHER = "172.224.226.5", "203.0.113.77", "203.0.113.78"
CAMPAIGN = 7


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Run on one database: nothing here depends on which."""
    return sqlite_url


class House:
    """An installation with a file of countries, behind a web server of its own."""

    def __init__(self, parts: Parts, folder: Path, clock: Clock, **settings: object) -> None:
        write_mmdb(
            folder / "c.mmdb",
            {
                "203.0.113.0/24": {"country": {"iso_code": "DE"}},
                "172.224.0.0/16": {"country": {"iso_code": "GB"}},
                "10.0.0.0/8": {"country": {"iso_code": "US"}},
                "2001:db8::/32": {"country": {"iso_code": "NL"}},
            },
            built=int(clock.now.timestamp()),
        )
        usual = {"country_db": folder / "c.mmdb", "trusted_proxies": "192.0.2.1"}
        changed = parts.settings.model_copy(update=usual | settings)
        self.parts = replace(parts, settings=changed)
        self.clock = clock
        self.client = create_app(self.parts).test_client()

    def fetch(
        self, agent: str, address: str, ordinal: int = 1, *, peer: str = "192.0.2.1"
    ) -> Record:
        """Fetch one pixel through the web server; give what was written down."""
        headers = {"User-Agent": agent, "X-Forwarded-For": address}
        path = self.parts.links.open_path((CAMPAIGN << 32) + ordinal)
        self.client.get(path, headers=headers, environ_base={"REMOTE_ADDR": peer})
        (segment,) = spool.segments(self.parts.settings.spool_dir)
        return spool.read(segment.path, 0, 1000)[0][-1]


@pytest.fixture
def house(parts: Parts, tmp_path: Path, clock: Clock) -> House:
    return House(parts, tmp_path, clock)


def load_list(house: House, *, days_ago: int = 0) -> None:
    source = house.parts.settings.data_dir / "list.csv"
    source.write_text("172.224.226.0/27,GB,GB-EN,London,\n")
    now = house.clock.now - timedelta(days=days_ago)
    relays.load(source, house.parts.settings.data_dir, now=now)


@pytest.mark.parametrize(
    ("days_ago", "address", "kind", "reason"),
    [
        (0, RELAY, OpenKind.PREFETCHED, Reason.APPLE_LISTED),
        (0, ELSEWHERE, OpenKind.UNKNOWN, Reason.APPLE_UNLISTED),
        (31, RELAY, OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
        (31, ELSEWHERE, OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
        (None, ELSEWHERE, OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
        (0, "10.1.2.3", OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
        (0, "rubbish", OpenKind.PREFETCHED, Reason.APPLE_PRIVACY),
    ],
)
def test_apples_name_is_believed_by_a_fresh_list_of_its_addresses(
    house: House, days_ago: int | None, address: str, kind: OpenKind, reason: Reason
) -> None:
    if days_ago is not None:
        load_list(house, days_ago=days_ago)
    found = house.fetch(APPLE, address)
    assert (found.kind, found.reason, found.country) == (kind, reason, None)
    assert Reason(found.reason).means_apple == (kind is OpenKind.PREFETCHED)


def test_a_person_behind_a_relay_reads_and_lives_nowhere(house: House) -> None:
    load_list(house)
    found = [house.fetch(SAFARI, RELAY, ordinal) for ordinal in range(1, 9)]
    assert {(one.kind, one.reason, one.country) for one in found} == {
        (OpenKind.DIRECT, Reason.BROWSER, None)
    }


@pytest.mark.parametrize(
    ("agent", "address", "peer", "country"),
    [
        (OUTLOOK, ELSEWHERE, "192.0.2.1", "DE"),
        (OUTLOOK, f"6.6.6.6, {ELSEWHERE}", "192.0.2.1", "DE"),
        (OUTLOOK, "2001:db8:1:2::3", "192.0.2.1", "NL"),
        (OUTLOOK, f"::ffff:{ELSEWHERE}", "192.0.2.1", "DE"),
        (GMAIL, ELSEWHERE, "192.0.2.1", None),
        (APPLE, ELSEWHERE, "192.0.2.1", None),
        ("curl/8.5.0", ELSEWHERE, "192.0.2.1", None),
        (OUTLOOK, "10.1.2.3", "192.0.2.1", None),
        (OUTLOOK, "127.0.0.1", "192.0.2.1", None),
        (OUTLOOK, "::1", "192.0.2.1", None),
        (OUTLOOK, "fe80::1%eth0", "192.0.2.1", None),
        (OUTLOOK, "", "192.0.2.1", None),
        (OUTLOOK, "rubbish\x00", "192.0.2.1", None),
        (OUTLOOK, "8.8.8.8", "192.0.2.1", None),
        # Somebody whom we don't know passes it on, for whomever.
        (OUTLOOK, ELSEWHERE, "203.0.113.9", None),
    ],
)
def test_a_country_is_that_of_a_person_at_a_known_place_or_unknown(
    house: House, agent: str, address: str, peer: str, country: str | None
) -> None:
    assert house.fetch(agent, address, peer=peer).country == country


def test_without_a_file_there_is_no_country(parts: Parts, tmp_path: Path, clock: Clock) -> None:
    house = House(parts, tmp_path, clock, country_db=None)
    assert house.fetch(OUTLOOK, ELSEWHERE).country is None


def test_five_people_at_one_place_within_ten_seconds_are_a_scanner(house: House) -> None:
    found = []
    for ordinal in range(1, 7):
        found.append(house.fetch(OUTLOOK, ELSEWHERE, ordinal))
        house.clock.now += timedelta(seconds=1.5)
    burst = (OpenKind.SCANNER, Reason.BURST, Client.UNKNOWN, None)
    assert [one.kind for one in found[:4]] == [OpenKind.DIRECT] * 4
    assert [(one.kind, one.reason, one.client, one.country) for one in found[4:]] == [burst] * 2
    assert house.fetch(OUTLOOK, OTHER, 7).kind == OpenKind.DIRECT
    house.clock.now += timedelta(seconds=20)
    assert house.fetch(OUTLOOK, ELSEWHERE, 8).kind == OpenKind.DIRECT


def test_four_people_or_one_who_reads_often_or_a_proxy_are_none(house: House) -> None:
    assert all(
        house.fetch(OUTLOOK, ELSEWHERE, n % 4 + 1).kind == OpenKind.DIRECT for n in range(20)
    )
    assert all(house.fetch(GMAIL, OTHER, n + 1).kind == OpenKind.PROXIED for n in range(20))


def test_those_who_come_from_no_public_place_are_never_a_burst(house: House) -> None:
    """A web server in front that isn't named would make a scanner of everybody else."""
    found = [house.fetch(OUTLOOK, ELSEWHERE, n + 1, peer="10.0.0.9").kind for n in range(20)]
    assert set(found) == {OpenKind.DIRECT}


def test_bursts_are_told_apart_by_campaign_and_by_network_of_ipv6(house: House) -> None:
    found = [house.fetch(OUTLOOK, f"2001:db8:1:2::{n}", n).kind for n in range(1, 7)]
    assert found[4:] == [OpenKind.SCANNER] * 2
    bursts = Bursts()
    assert not any(bursts.has(b"home", campaign << 32 | 1, 100.0) for campaign in range(1, 20))


def test_bursts_keep_no_address_and_take_no_memory_without_end() -> None:
    bursts = Bursts()
    for number in range(40_000):
        bursts.has(number.to_bytes(4, "big"), 7 << 32 | number, 1000.0 + number / 1e6)
    held = vars(bursts)
    assert len(held["_recent"]) + len(held["_older"]) <= 2 * fetches._MOST_PLACES  # noqa: SLF001 - the bound
    assert (5).to_bytes(4, "big") not in held["_recent"]
    bursts.has(b"home", 1, 1000.0 + 90_000)
    assert len(vars(bursts)["_recent"]) == 1


@pytest.mark.parametrize("later", [[9.0, 18.5, 28.0], [20.0]])
def test_bursts_forget_whoever_was_not_seen_for_twenty_seconds(later: list[float]) -> None:
    bursts = Bursts()
    for place in range(50):
        bursts.has(bytes([place]), 7 << 32 | 1, 1000.0)
    for seconds in later:
        bursts.has(b"another", 7 << 32 | 1, 1000.0 + seconds)
    held = vars(bursts)
    assert len(held["_recent"] | held["_older"]) == 1


def test_a_burst_is_seen_across_the_moments_of_forgetting() -> None:
    bursts = Bursts()
    bursts.has(b"another", 7 << 32 | 1, 1000.0)
    times = [1008.0, 1009.0, 1010.5, 1016.0, 1017.5]
    found = [bursts.has(b"home", 7 << 32 | n, at) for n, at in enumerate(times)]
    assert found == [False] * 4 + [True]


def test_a_change_of_the_rules_of_bursts_is_one_of_the_rules() -> None:
    # As in tests/test_useragents.py: raise RULESET before these are changed.
    assert (BURST_PEOPLE, BURST_SECONDS) == (5, 10.0)
    assert len(digest()) == 16
