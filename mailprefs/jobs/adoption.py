"""Make a copied or restored installation the live one: nobody twice, and no refusal forgotten.

What the database doesn't know is made up for first: the journal's refusals, and what the vendor's
lists hold. Then whatever was pending or sending becomes unknown, every counter moves ahead, and the
last transaction gives the installation its new name. Until that one nothing is sent, and whatever
broke off is done again from the start.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import audit, instance, journal, preferences, privacy, suppressions
from mailprefs.addresses import AddressHasher
from mailprefs.audit import Actor
from mailprefs.campaigns import restored as campaigns
from mailprefs.db import counters
from mailprefs.db.database import Database, Gate
from mailprefs.deliveries import restored, settle
from mailprefs.errors import Conflict
from mailprefs.instance import Place
from mailprefs.jobs.reconciliation import Comparison
from mailprefs.journal import Line, Refusal
from mailprefs.policy import Choice, Purpose, Source, SubscriptionState, SuppressionReason
from mailprefs.preferences import Change, Door, Held
from mailprefs.preferences.leaving import everything
from mailprefs.privacy import Asked
from mailprefs.schema.people import Recipient

AT_ONCE: Final = 25
"""Refusals of one transaction, which holds the gate: some 2 ms each."""
METHOD: Final = "journal"

log = logging.getLogger("mailprefs.adoption")


class Adopted(NamedTuple):
    """What was made up for: refusals by their word, people made unknown, campaigns' new numbers."""

    refusals: dict[str, int]
    unknown: int
    drafts: dict[int, int]
    listed: int | None

    def document(self) -> dict[str, Any]:
        """Give it as JSON; *listed* is how many the vendor's lists added, None: not asked."""
        drafts = [{"was": was, "is": now} for was, now in self.drafts.items()]
        return {**self._asdict(), "drafts": drafts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What adopting needs; *db* writes no journal, for what it applies stands there.

    *lists* compares with the vendor's lists; None where that was waived.
    """

    db: Database
    place: Place
    hasher: AddressHasher
    lists: Comparison | None
    actor: Actor
    clock: Callable[[], datetime]

    def run(self, others: Iterable[Path] = ()) -> Adopted:
        """Adopt; *others* are the journals of further machines that served the installation.

        :raises Conflict: where nothing is to be adopted, or the vendor's lists can't be read.
        :raises BadFile: for a journal that can't be read.
        """
        with self.db.reading() as session:
            known = instance.refusals_known(session)
            if instance.examine(session, self.place) is None:
                msg = "This is the live installation already; nothing was changed."
                raise Conflict(msg)
        lines = self.place.journal.lines()
        lines += [line for path in others for line in journal.read(path)]
        missed = sorted({line for line in lines if line.seq > known})
        refusals = self._apply(missed)
        listed = self._compare()
        with self.db.transaction(Gate.TAKING) as session:
            return self._end(session, refusals, listed)

    def _apply(self, missed: Sequence[Line]) -> Counter[str]:
        counted: Counter[str] = Counter()
        for part in _cut(missed):
            with self.db.transaction(Gate.TAKING) as session:
                for line in part:
                    self._refuse(session, line.refusal)
                    counted[line.refusal.what.partition(" ")[0]] += 1
        return counted

    def _refuse(self, session: Session, said: Refusal) -> None:
        """Carry one refusal out, as it was; of somebody who isn't on file, by the hash alone."""
        now = self.clock()
        person = session.scalar(
            select(Recipient).where(Recipient.address_hash == said.address_hash)
        )
        reason = _REASONS.get(said.what)
        if said.what == journal.ERASED and person is not None:
            asked = Asked(Source.SYSTEM, self.actor, self.hasher)
            privacy.erase(session, person.id, asked, now=now)
        elif said.what == journal.ERASED:
            key_id = self.hasher.key_id
            suppressions.erase(session, said.address_hash, key_id, Source.SYSTEM, now=now)
        else:
            # Who isn't on file and left one topic may come back by an import: better no mail.
            if reason is None and person is None and said.what != journal.TRACKING:
                reason = SuppressionReason.UNSUBSCRIBED
            if reason is not None:
                suppressions.add(
                    session, said.address_hash, self.hasher.key_id, reason, Source.SYSTEM, now=now
                )
            if person is not None:
                door = Door(Source.SYSTEM, METHOD, actor=self.actor, is_counted=False)
                preferences.apply(session, person.id, lambda held: _noes(held, said), door, now=now)

    def _compare(self) -> int | None:
        if self.lists is None:
            return None
        found = self.lists.now()
        if found.failure:
            msg = (
                f"The vendor's lists couldn't be read, so nothing was adopted. {found.failure} "
                "To go on without them: --without-lists"
            )
            raise Conflict(msg)
        return found.new

    def _end(self, session: Session, refusals: Counter[str], listed: int | None) -> Adopted:
        now = self.clock()
        counters.move_ahead(session)
        drafts = campaigns.number_anew(session)
        campaigns.end_standing(session)
        unknown = restored.make_unknown(session)
        settle.end_campaigns(session, now=now)
        instance.adopt(session, self.place, now=now)
        adopted = Adopted(dict(sorted(refusals.items())), unknown, drafts, listed)
        audit.record(
            session,
            self.actor,
            "instance.adopted",
            ("instance", 1),
            now=now,
            details=adopted.document(),
        )
        return adopted


_REASONS: Final = {journal.COMPLAINED: SuppressionReason.COMPLAINED}


def _noes(held: Held, said: Refusal) -> Sequence[Change]:
    """Decide what a refusal of the journal changes of what somebody holds."""
    topic_id = journal.topic_of(said.what)
    if said.what == journal.TRACKING:
        return [Change(Purpose.OPEN_TRACKING, None, Choice.WITHDRAWN)]
    if topic_id is None:
        return everything(held)
    if topic_id not in held.promotional_ids:
        return []
    return [Change(Purpose.PROMOTIONAL_EMAIL, topic_id, SubscriptionState.UNSUBSCRIBED)]


def _cut(lines: Sequence[Line]) -> Iterable[Sequence[Line]]:
    return (lines[at : at + AT_ONCE] for at in range(0, len(lines), AT_ONCE))
