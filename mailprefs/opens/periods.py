"""When a campaign's fetches are recorded, and in which days and hours they are told."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

RECORDED_FOR: Final = timedelta(days=90)
"""Counted from a campaign's first hand-over; it closes then, and nothing more is recorded."""
_REMEMBERED: Final = 65_536
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)


class Period(NamedTuple):
    """In which zone a campaign's hours are told, and until when fetches count."""

    zone: str
    until: datetime

    @classmethod
    def of(cls, zone: str, first_hand_over_at: datetime | None) -> Self:
        """Give the period of a campaign; without a hand-over, its first request still runs."""
        until = _NEVER if first_hand_over_at is None else first_hand_over_at + RECORDED_FOR
        return cls(zone, until)

    def hour(self, of_minute: datetime) -> str:
        """Give the local hour (``YYYY-MM-DDTHH``) of a minute."""
        return _hour(self.zone, of_minute)

    def day(self, at: datetime) -> date:
        """Give the local day of a time."""
        return _day(self.zone, minute(at))

    def day_began(self, at: datetime) -> datetime:
        """Give when the local day of a time began, in UTC."""
        day = self.day(at)
        return datetime(day.year, day.month, day.day, tzinfo=_zone(self.zone)).astimezone(UTC)


def minute(at: datetime) -> datetime:
    """Give the minute of a UTC time; by a memory, which is quicker than to make it anew."""
    return _minute((at - _EPOCH) // _MINUTE)


@lru_cache(maxsize=_REMEMBERED)
def _minute(number: int) -> datetime:
    return _EPOCH + number * _MINUTE


# Local times of the last day of the calendar can't be told in every zone.
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=_REMEMBERED)
def _hour(zone: str, at: datetime) -> str:
    return at.astimezone(_zone(zone)).strftime("%Y-%m-%dT%H")


@lru_cache(maxsize=_REMEMBERED)
def _day(zone: str, at: datetime) -> date:
    return at.astimezone(_zone(zone)).date()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
