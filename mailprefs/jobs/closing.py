"""Release what is due, close campaigns whose time is over, and make their numbers final.

The service does it every few minutes, by one thread; `mailprefs release` does it at once. Each
campaign has a transaction of its own, so that one that fails holds up no other, and whatever was
broken off is found again.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from mailprefs.db.database import Database, Gate
from mailprefs.errors import StoreUnavailable
from mailprefs.jobs import rounds
from mailprefs.policy import MessageClass
from mailprefs.reports import closing, releases
from mailprefs.reports.cells import Rule
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.reports import Release

LOOK_EVERY: Final = timedelta(minutes=5)
CLOSED_AT_ONCE: Final = 100
"""Campaigns marked as closed in one transaction: the gate is held meanwhile."""

log = logging.getLogger("mailprefs.closing")


class Done(NamedTuple):
    """What a look came to: campaigns whose numbers are new, that were closed, and made final.

    ``failed`` are left for the next look; the log says why.
    """

    released: int
    closed: int
    final: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The released numbers of one installation, kept up to date under its rule."""

    db: Database
    rule: Rule
    clock: Callable[[], datetime]

    def run(self, stop: threading.Event) -> None:
        """Look every few minutes until *stop* is set; what fails is tried again."""
        rounds.go(self.now, stop, every=LOOK_EVERY, log=log, trouble="Numbers are released later.")

    def now(self) -> Done:
        """Do all that is due now; a campaign that fails is logged, and tried again the next time.

        :raises StoreUnavailable: when the store can't be reached; nothing more is tried then.
        """
        now = self.clock()
        released, unreleased = self._each(
            self._due(now), lambda session, number: self._release(session, number, now)
        )
        closed = 0
        while marked := self._mark(now):
            closed += marked
        with self.db.reading() as session:
            left = closing.unfinished(session)
        final, unfinished = self._each(
            left, lambda session, number: self._finish(session, number, now)
        )
        return Done(released, closed, final, len(unreleased | unfinished))

    def _each(self, numbers: list[int], do: Callable[[Session, int], bool]) -> tuple[int, set[int]]:
        """Do something with each campaign, whatever becomes of the others.

        Gives how often something was done, and with which campaigns it failed.
        """
        done, failed = 0, set[int]()
        for number in numbers:
            try:
                with self.db.transaction() as session:
                    done += do(session, number)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - told by its class only: the text may hold anything
                failed.add(number)
                log.error(  # noqa: TRY400 - as above
                    "The numbers of campaign %d are left for later: %s",
                    number,
                    type(error).__name__,
                )
        return done, failed

    def _due(self, now: datetime) -> list[int]:
        with self.db.reading() as session:
            return _due(session, now)

    def _release(self, session: Session, number: int, now: datetime) -> bool:
        campaign = session.get_one(Campaign, number)
        return releases.refresh(session, campaign, now=now, rule=self.rule)

    def _finish(self, session: Session, number: int, now: datetime) -> bool:
        closing.finish(session, number, now=now, rule=self.rule)
        return True

    def _mark(self, now: datetime) -> int:
        with self.db.transaction(Gate.TAKING) as session:
            return len(closing.mark(session, now=now, limit=CLOSED_AT_ONCE))


def _due(session: Session, now: datetime) -> list[int]:
    """List the open campaigns whose numbers were last looked at a day ago, or never."""
    latest = now - releases.EVERY
    return list(
        session.scalars(
            select(Campaign.id)
            .outerjoin(Release, Release.campaign_id == Campaign.id)
            .where(
                Campaign.closed_at.is_(None),
                Campaign.message_class == MessageClass.PROMOTIONAL,
                Campaign.first_hand_over_at <= latest,
                or_(
                    Release.campaign_id.is_(None),
                    and_(Release.frozen_at.is_(None), Release.looked_at <= latest),
                ),
            )
            .order_by(Campaign.id)
        )
    )
