"""Who asks is counted in memory, believed only from our own web servers, and forgotten."""

from datetime import timedelta

import pytest

from mailprefs.settings import Settings
from mailprefs.web.visitors import Allowance, visitor
from tests.web.conftest import Clock

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ("", "203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.0/8", "203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("10.0.0.0/8", "10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.0/8, 127.0.0.1", "127.0.0.1", "198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", "", "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", "nonsense", "unknown"),
        ("", "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
        ("", "::ffff:203.0.113.5", "", "203.0.113.5"),
        ("", "", "", "unknown"),
    ],
)
def test_only_our_own_web_servers_may_name_a_visitor(
    trusted: str, peer: str, forwarded: str, expected: str
) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert visitor(environ, Settings(trusted_proxies=trusted)) == expected


def test_each_visitor_has_so_many_turns_in_a_window(clock: Clock) -> None:
    allowance = Allowance(2, HOUR, clock)
    assert [allowance.take("a"), allowance.take("a"), allowance.take("a")] == [True, True, False]
    assert allowance.take("b")
    clock.now += HOUR
    assert allowance.take("a")


def test_what_is_counted_shows_nobodys_address(clock: Clock) -> None:
    allowance = Allowance(2, HOUR, clock)
    allowance.take("203.0.113.5")
    assert "203.0.113.5" not in repr(vars(allowance))


def test_a_flood_of_visitors_takes_no_memory_without_end(clock: Clock) -> None:
    allowance = Allowance(1, HOUR, clock)
    for number in range(50_005):
        allowance.take(str(number))
    assert len(vars(allowance)["_taken"]) <= 50_000
