"""A thread that does something now and then outlives whatever goes wrong with it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest

from mailprefs.errors import StoreUnavailable
from mailprefs.jobs import rounds

log = logging.getLogger("mailprefs.rounds-of-a-test")


def failing(stop: Event, *errors: Exception) -> Callable[[], None]:
    """Give what raises each of *errors* in turn, and is told to stop when there is none left."""
    left = list(errors)

    def once() -> None:
        if left:
            raise left.pop(0)
        stop.set()

    return once


def test_what_goes_wrong_is_tried_again_and_told_without_an_unknown_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = Event()
    errors = StoreUnavailable("The database is away."), ValueError("anna@example.com")
    rounds.go(failing(stop, *errors), stop, every=timedelta(), log=log, trouble="Not done.")
    assert caplog.messages == ["Not done. The database is away.", "Not done. ValueError"]


def test_nothing_is_done_any_more_once_it_is_told_to_stop() -> None:
    stop, done = Event(), []
    stop.set()
    rounds.go(lambda: done.append(1), stop, every=timedelta(), log=log, trouble="Not done.")
    assert done == []


def test_a_nights_work_does_not_begin_as_soon_as_the_process_starts() -> None:
    stop, done = Event(), []
    thread = Thread(
        target=lambda: rounds.each_night(lambda: done.append(1), stop, log=log, trouble="Not done.")
    )
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert done == []


def test_a_night_begins_by_the_clock_of_the_installations_zone() -> None:
    in_kolkata = datetime(2026, 3, 1, 22, 29, tzinfo=UTC), datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
    assert [rounds.is_night(now, "Asia/Kolkata", hour=4) for now in in_kolkata] == [False, True]
