"""Stand-ins for what lies outside: they keep the promises of what they stand for, and remember."""

import threading
from collections.abc import Callable, Iterable
from itertools import chain, repeat

from mailprefs.vendor.message import Mailing, Outcome, Verdict

ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, status=202, message_id="fake-message")


class RecordingVendor:
    """A vendor that answers as it was told, then accepts, and keeps every request it was handed.

    An answer may be a function of the mailing. ``accepted`` has only what the vendor would send.
    """

    def __init__(self, answers: Iterable[Outcome | Callable[[Mailing], Outcome]] = ()) -> None:
        self.requests: list[Mailing] = []
        self.accepted: list[Mailing] = []
        self._answers = chain(answers, repeat(ACCEPTED))
        self._lock = threading.Lock()

    def hand_over(self, mailing: Mailing) -> Outcome:
        with self._lock:
            answer = next(self._answers)
            outcome = answer if isinstance(answer, Outcome) else answer(mailing)
            self.requests.append(mailing)
            if outcome.verdict is Verdict.ACCEPTED:
                self.accepted.append(mailing)
            return outcome

    def close(self) -> None:
        pass

    @property
    def addresses(self) -> list[str]:
        """List whom the vendor would mail, in order, with repetitions."""
        return [person.address for mailing in self.accepted for person in mailing.people]


class Sleeper:
    """A module ``time`` that moves only while somebody sleeps; ``happens`` is what does then."""

    def __init__(self) -> None:
        self.now, self.slept = 1_000.0, 0.0
        self.happens: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.slept += seconds
        self.happens()


def answer(verdict: Verdict, **fields: object) -> Outcome:
    """Give one scripted answer."""
    return Outcome(verdict=verdict, **fields)  # type: ignore[arg-type]  # fields of Outcome
