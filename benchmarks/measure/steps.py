"""Where the time of counting goes: a clock on each statement and commit of one database."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from operator import itemgetter
from time import perf_counter
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from mailprefs.db import driven
from mailprefs.db.database import Database


class Steps:
    """Where the time of counting goes: by statement, commits, and everything else."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.held: list[float] = []
        self._began = self._gate = 0.0

    def before(self, *_: object) -> None:
        """Note when a statement or a commit begins."""
        self._began = perf_counter()

    def after(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        """Note how long a statement took."""
        self.seconds[_step(statement)] += perf_counter() - self._began
        if "advisory" in statement or "spool_positions" in statement:
            self._gate = self._gate or self._began

    def commit(self, driver: Callable[[Any], None], connection: Any) -> None:  # noqa: ANN401 - the driver's
        """Commit, and note how long that took."""
        began = perf_counter()
        driver(connection)
        self.seconds["commit"] += perf_counter() - began
        if self._gate:
            self.held.append(perf_counter() - self._gate)
        self._gate = 0.0

    def per_hit(self, count: int, total: float) -> dict[str, float]:
        """Give the microseconds a hit of each step, the dearest first, and of what is left."""
        ordered = sorted(self.seconds.items(), key=itemgetter(1), reverse=True)
        listed = {name: seconds / count * 1e6 for name, seconds in ordered}
        return listed | {"python": (total - sum(self.seconds.values())) / count * 1e6}


def _step(statement: str) -> str:
    words = " ".join(statement.split())
    for table in (
        "spool_positions",
        "open_rollup",
        "measured_totals",
        "undecided_opens",
        "silenced_deliveries",
        "INTO opens",
        "UPDATE measured",
        "recipients",
        "hand_overs",
        "advisory",
    ):
        if table in words:
            return f"{words.split(' ', 1)[0].lower()} ... {table}"
    return words[:28]


@contextmanager
def timed(db: Database) -> Iterator[Steps]:
    """Put a clock on the statements and commits of *db*, each by itself.

    So PostgreSQL doesn't work on one while Python prepares another, as it does otherwise.
    """
    steps = Steps()
    kept = driven.send, driven.pipelined

    def send(session: Session, statement: str, given: Sequence[object]) -> driven.Sent:
        steps.before()
        sent = kept[0](session, statement, given)
        steps.after(None, None, statement)
        return sent

    patched: Any = driven
    patched.send, patched.pipelined = send, nullcontext
    dialect: Any = db.engine.dialect
    commit = dialect.do_commit
    event.listen(db.engine, "before_cursor_execute", steps.before)
    event.listen(db.engine, "after_cursor_execute", steps.after)
    dialect.do_commit = lambda connection: steps.commit(commit, connection)
    try:
        yield steps
    finally:
        patched.send, patched.pipelined = kept
        dialect.do_commit = commit
        event.remove(db.engine, "before_cursor_execute", steps.before)
        event.remove(db.engine, "after_cursor_execute", steps.after)
