"""What threads want of the database at the same moment is done in one transaction for all of them.

Whoever comes while nobody is at work begins at once; who comes meanwhile waits, and one of them
works for all who wait by then. So nobody waits for company, and the more people come the less each
one costs: one wait for the disk, one question about everybody. A fault of what one wants takes
nothing of the others with it; a database that fails is everybody's.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.orm import Session

from mailprefs.errors import StoreUnavailable

Wants = TypeVar("Wants")
Gives = TypeVar("Gives")
log = logging.getLogger("mailprefs.db")
_BROKEN_OFF: Final = "The work was broken off before it was done; nobody was told that it holds."


class _Asked(Generic[Wants, Gives]):
    """What one thread wants, and what came of it: nothing yet, an error, or what was given."""

    def __init__(self, do: Callable[[Session, list[Wants]], Sequence[Gives]], what: Wants) -> None:
        self.do = do
        self.what = what
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
        """Begin each by *transaction*; nobody is given anything before it has ended."""
        self._transaction = transaction
        self._changed = threading.Condition()
        self._waiting: list[_Asked[Any, Any]] = []
        self._is_led = False

    def run(self, do: Callable[[Session, list[Wants]], Sequence[Gives]], what: Wants) -> Gives:
        """Run *do* on *what* and on what others want of the same *do*; give what came of *what*.

        It may run in another thread, and once more after it was rolled back: it must do nothing but
        read and write by the session. It gives one thing for each that it gets, in their order.

        It takes as long as two transactions at most: the one under way, and its own.

        :raises StoreUnavailable: when the transaction could not be brought to its end.
        """
        mine = _Asked(do, what)
        with self._changed:
            self._waiting.append(mine)
            self._changed.wait_for(lambda: mine.is_done or not self._is_led)
            if mine.is_done:
                return mine.result()
            self._is_led, asked = True, self._waiting
            self._waiting = []
        try:
            self._lead(asked)
        finally:
            with self._changed:
                self._is_led = False
                for one in asked:
                    one.is_done = True
                self._changed.notify_all()
        return mine.result()

    def _lead(self, asked: Sequence[_Asked[Any, Any]]) -> None:
        """Do what all want in one transaction; if one's fails, each in a transaction of its own."""
        try:
            with self._transaction() as session:
                given = _all(session, asked)
        except StoreUnavailable as error:
            for one in asked:
                one.error = StoreUnavailable(str(error))  # raised in a thread of its own
        except Exception as error:  # noqa: BLE001 - raised again for whom it concerns
            if len(asked) == 1:
                asked[0].error = error
                return
            log.warning(
                "%d are done one by one, for one failed: %s", len(asked), type(error).__name__
            )
            for one in asked:
                self._lead([one])
        else:
            for one, result in given:
                one.given = (result,)


def _all(session: Session, asked: Sequence[_Asked[Any, Any]]) -> list[tuple[_Asked[Any, Any], Any]]:
    """Do what all want, those at once who want the same; give what came of each."""
    kinds: dict[Callable[..., Any], list[_Asked[Any, Any]]] = {}
    for one in asked:
        kinds.setdefault(one.do, []).append(one)
    return [
        pair
        for do, same in kinds.items()
        for pair in zip(same, do(session, [one.what for one in same]), strict=True)
    ]
