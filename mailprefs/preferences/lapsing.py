"""Consent that a policy version asks anew: from its effect on, an earlier yes is no answer.

A no stays a no. Who says yes from then on has said it under the new version, and keeps it. It is
done slice by slice, so that nobody who leaves waits for it, and a claim reads on its own how far it
has come (``consent.lapsing_after``): a yes that isn't reached yet counts as no answer already.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select, type_coerce, update
from sqlalchemy.orm import Session

from mailprefs import consent, opens
from mailprefs.consent import Entry
from mailprefs.consent.entries import read
from mailprefs.db import dialects
from mailprefs.db.database import require_taking
from mailprefs.policy import (
    Choice,
    Purpose,
    Source,
    TrackingBasis,
    tracking_basis,
)
from mailprefs.schema.base import BigId
from mailprefs.schema.choices import ConsentEntry, PolicyLapse, PolicyState, PolicyVersion
from mailprefs.schema.people import Recipient

_SLICE: Final = 500
_METHOD: Final = "policy_version"


class Lapse(NamedTuple):
    """One purpose for which a version in force asks anew: since when, and how far it has come."""

    policy_version_id: int
    purpose: Purpose
    since: datetime
    done_to: int


def due(session: Session, *, now: datetime) -> list[Lapse]:
    """List what isn't done yet, of versions in force; for reading."""
    rows = session.execute(
        select(
            PolicyLapse.policy_version_id,
            PolicyLapse.purpose,
            PolicyVersion.effective_from,
            PolicyLapse.done_to,
        )
        .join(PolicyVersion, PolicyVersion.id == PolicyLapse.policy_version_id)
        .where(PolicyLapse.ended_at.is_(None), PolicyVersion.state == PolicyState.SETTLED)
        .where(PolicyVersion.effective_from <= now)
        .order_by(PolicyLapse.policy_version_id)
    )
    return [Lapse(*row) for row in rows]


def next_people(session: Session, lapse: Lapse) -> Sequence[int]:
    """Give the next people who said yes at some time; none: it is done. For reading, no gate."""
    return session.scalars(
        select(Recipient.id)
        .where(Recipient.id > lapse.done_to, Recipient.open_tracking == Choice.GRANTED)
        .order_by(Recipient.id)
        .limit(_SLICE)
    ).all()


def end(
    session: Session,
    lapse: Lapse,
    ids: Sequence[int],
    *,
    unknown_region_basis: TrackingBasis,
    now: datetime,
) -> int:
    """Make no answer of the yes of these people, as far as it is an earlier one; give how many.

    Who may not be measured without a yes isn't any more, messages that they have included; what
    was counted while it stood remains. Without *ids* the lapse is done.

    :raises RuntimeError: in a transaction that wasn't opened with ``Gate.TAKING``.
    """
    require_taking(session)
    consent.lock(session)  # lock order: gate, ledger head, rows
    row = session.get_one(
        PolicyLapse, (lapse.policy_version_id, lapse.purpose), with_for_update=True
    )
    if row.ended_at is not None or row.done_to != lapse.done_to:
        return 0  # somebody else is at it
    if not ids:
        row.ended_at = now
        return 0
    row.done_to = ids[-1]
    people = _earlier(session, lapse, ids)
    _write(session, people, lapse, now)
    unmeasured = [
        one
        for one, region in people.items()
        if tracking_basis(region, unknown_region_basis) is TrackingBasis.CONSENT
    ]
    opens.mute(session, unmeasured)
    return len(people)


def _earlier(session: Session, lapse: Lapse, ids: Sequence[int]) -> dict[int, str | None]:
    """Give those of *ids* whose yes is from before the version's effect, with their regions."""
    since = session.scalars(
        select(ConsentEntry.payload)
        .where(dialects.among(session, type_coerce(ConsentEntry.recipient_id, BigId), ids))
        .where(ConsentEntry.recorded_at >= lapse.since, ConsentEntry.payload.is_not(None))
    )
    said = [read(text) for text in since if text is not None]
    anew = {one.recipient_id for one in said if one.purpose == lapse.purpose}
    rows = session.execute(
        select(Recipient.id, Recipient.region)
        .where(dialects.among(session, Recipient.id.expression, ids))
        .where(Recipient.open_tracking == Choice.GRANTED)
        .order_by(Recipient.id)
    )
    return {row.id: row.region for row in rows if row.id not in anew}


def _write(session: Session, people: Collection[int], lapse: Lapse, now: datetime) -> None:
    """Make rows and ledger say that these people have given no answer."""
    session.execute(
        update(Recipient)
        .where(dialects.among(session, Recipient.id.expression, people))
        .values(open_tracking=Choice.UNKNOWN)
        .execution_options(synchronize_session=False)
    )
    consent.append(session, [_entry(one, lapse, now) for one in people], now=now)


def _entry(recipient_id: int, lapse: Lapse, now: datetime) -> Entry:
    return Entry(
        recipient_id=recipient_id,
        purpose=lapse.purpose.value,
        topic_id=None,
        old=Choice.GRANTED.value,
        new=Choice.UNKNOWN.value,
        source=Source.SYSTEM,
        policy_version_id=lapse.policy_version_id,
        method=_METHOD,
        occurred_at=now,
        actor="system",
    )
