"""When a campaign's fetches are recorded, and in which days and hours they are told.

Times that are only compared are microseconds since 1970 UTC here and in the rules: as exact as the
database's, and a hit has hardly any other cost.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

RECORDED_FOR: Final = timedelta(days=90)
"""Counted from a campaign's first hand-over; it closes then, and nothing more is recorded."""
_REMEMBERED: Final = 65_536
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
MINUTE: Final = 60_000_000
"""A minute in microseconds."""


class Period(NamedTuple):
    """In which zone a campaign's hours are told, and until when fetches count."""

    zone: str
    until: int

    @classmethod
    def of(cls, zone: str, first_hand_over: int | None) -> Self:
        """Give the period of a campaign; without a hand-over, its first request still runs."""
        return cls(zone, _NEVER if first_hand_over is None else first_hand_over + _RECORDED_FOR)

    def hour(self, of_minute: datetime) -> str:
        """Give the local hour (``YYYY-MM-DDTHH``) of a minute."""
        return _hour(self.zone, of_minute)

    def day(self, minute: int) -> date:
        """Give the local day of a minute (since 1970 UTC)."""
        return _day(self.zone, minute)

    def day_began(self, at: datetime) -> datetime:
        """Give when the local day of a time began, in UTC."""
        day = self.day(micros(at) // MINUTE)
        return datetime(day.year, day.month, day.day, tzinfo=_zone(self.zone)).astimezone(UTC)


def micros(at: datetime) -> int:
    """Give a time as microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """Give microseconds since 1970 UTC as a time."""
    return _EPOCH + timedelta(microseconds=at)


@lru_cache(maxsize=_REMEMBERED)
def start_of(minute: int) -> datetime:
    """Give when a minute (since 1970 UTC) began."""
    return instant(minute * MINUTE)


_RECORDED_FOR: Final = RECORDED_FOR // _MICROSECOND
# Local times of the last day of the calendar can't be told in every zone.
_NEVER: Final = micros(datetime(9999, 1, 1, tzinfo=UTC))


@lru_cache(maxsize=_REMEMBERED)
def _hour(zone: str, at: datetime) -> str:
    return at.astimezone(_zone(zone)).strftime("%Y-%m-%dT%H")


@lru_cache(maxsize=_REMEMBERED)
def _day(zone: str, minute: int) -> date:
    return start_of(minute).astimezone(_zone(zone)).date()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
