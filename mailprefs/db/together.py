"""What threads want to write at the same moment is one transaction: one wait for the disk for all.

Whoever comes while nobody writes begins at once and alone; who comes meanwhile waits, and the first
of them writes for all who wait by then. So nobody waits for company, and the more people come the
less each one costs. An act that fails takes nothing of the others with it.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.orm import Session

from mailprefs.errors import StoreUnavailable

Gives = TypeVar("Gives")
_BROKEN_OFF: Final = "The writing was broken off before it was done; nobody was told that it holds."


class _Act(Generic[Gives]):
    """What one thread wants done, and what came of it: nothing yet, an error, or what it gave."""

    def __init__(self, act: Callable[[Session], Gives]) -> None:
        self.act = act
        self.is_done = False
        self.given: tuple[Gives] | None = None
        self.error: Exception | None = None

    def result(self) -> Gives:
        if self.given is None:
            raise self.error or StoreUnavailable(_BROKEN_OFF)
        return self.given[0]


class Together:
    """The transactions of one process that may be made one; threads share it."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Session]]) -> None:
        """Begin each by *transaction*, which commits at its end."""
        self._transaction = transaction
        self._changed = threading.Condition()
        self._waiting: list[_Act[Any]] = []
        self._is_led = False

    def run(self, act: Callable[[Session], Gives]) -> Gives:
        """Run *act* in a transaction, perhaps with others' acts; give what it gave, once committed.

        It may run in another thread, and once more after it was rolled back: it must do nothing but
        read and write by the session.

        :raises StoreUnavailable: when what it did could not be committed.
        """
        mine = _Act(act)
        with self._changed:
            self._waiting.append(mine)
            self._changed.wait_for(lambda: mine.is_done or not self._is_led)
            if mine.is_done:
                return mine.result()
            self._is_led, acts = True, self._waiting
            self._waiting = []
        try:
            self._lead(acts)
        finally:
            with self._changed:
                self._is_led = False
                for one in acts:
                    one.is_done = True
                self._changed.notify_all()
        return mine.result()

    def _lead(self, acts: Sequence[_Act[Any]]) -> None:
        """Run *acts* in one transaction; if one of them fails, each in a transaction of its own."""
        try:
            with self._transaction() as session:
                given = [one.act(session) for one in acts]
        except StoreUnavailable as error:
            for one in acts:
                one.error = error
        except Exception as error:  # noqa: BLE001 - raised again for whom it concerns
            if len(acts) == 1:
                acts[0].error = error
                return
            for one in acts:
                self._lead([one])
        else:
            for one, what in zip(acts, given, strict=True):
                one.given = (what,)
