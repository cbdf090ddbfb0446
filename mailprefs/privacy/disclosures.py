"""The register of disclosures: to whom data about people went, on which ground, and why.

Entries are written by whoever discloses something, and by the exports that mailprefs makes for it.
What the vendor of the mail got is on record with each call (``hand_overs``), so it is added up
here, by year and by the fields that went, and never copied.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs import audit, suppressions
from mailprefs.audit import Actor
from mailprefs.deliveries.outcome import GIVEN_BACK
from mailprefs.errors import BadInput
from mailprefs.reports import exports
from mailprefs.schema.deliveries import HandOver
from mailprefs.schema.legal import Disclosure, DisclosureBasis

LONGEST: Final = 500
"""Characters of whom something went to, or of its fields."""
_MAIL: Final = "each message is handed to the vendor that delivers it"


class Told(NamedTuple):
    """What is written down: to whom which fields of how many people went, and why.

    *recipient_id*: whose, where it was one person's. *sha256*: of the file that was made for it.
    """

    basis: DisclosureBasis
    to_whom: str
    fields: Sequence[str]
    n: int
    reason: str
    recipient_id: int | None = None
    sha256: bytes | None = None


class Line(NamedTuple):
    """One line of the register; *number* is None for calls to the vendor that are added up.

    Those are from the first to the last instant, and *n* counts people once a message.
    """

    number: int | None
    since: datetime
    until: datetime
    basis: DisclosureBasis
    to_whom: str
    fields: str
    n: int
    reason: str
    staff_id: int | None
    sha256: bytes | None


def record(session: Session, told: Told, actor: Actor, *, now: datetime) -> int:
    """Write down a disclosure, for ever and in the audit; give its number.

    :raises BadInput: without whom, what and why, or with an e-mail address in one of them.
    """
    to_whom, fields = told.to_whom.strip(), ", ".join(filter(None, map(str.strip, told.fields)))
    reason = suppressions.written_reason(told.reason)
    if not to_whom or not fields or told.n < 1:
        msg = "Say to whom it went, which fields, and of how many people."
        raise BadInput(msg)
    if len(to_whom) > LONGEST or len(fields) > LONGEST:
        msg = f"To whom it went, and its fields, have at most {LONGEST} characters each."
        raise BadInput(msg)
    entry = Disclosure(
        at=now,
        basis=told.basis,
        to_whom=to_whom,
        fields=fields,
        n=told.n,
        reason=reason,
        staff_id=actor.staff_id,
        recipient_id=told.recipient_id,
        sha256=told.sha256,
    )
    session.add(entry)
    session.flush()
    subject = ("disclosure", entry.id)
    details = {"basis": told.basis.value, "to": to_whom, "fields": fields, "people": told.n}
    if told.recipient_id is not None:
        details["recipient"] = told.recipient_id
    audit.record(
        session, actor, "disclosure.recorded", subject, now=now, reason=reason, details=details
    )
    return entry.id


def register(session: Session, *, limit: int | None = None) -> list[Line]:
    """List what was disclosed, newest first, and after that the vendor's calls by year."""
    entries = session.scalars(select(Disclosure).order_by(Disclosure.id.desc()).limit(limit))
    return [*(_line(one) for one in entries), *_of_vendor(session)]


def as_csv(lines: Sequence[Line], names: Mapping[int, str]) -> str:
    """Give the register as CSV, times in UTC; *names* are those of the staff."""
    return exports.as_csv(_Row, [_row(one, names) for one in lines])


class _Row(NamedTuple):
    """One line of the file."""

    since: str
    until: str
    basis: str
    to: str
    fields: str
    people: int
    reason: str
    by: str
    sha256: str


def _row(one: Line, names: Mapping[int, str]) -> _Row:
    since, until = (
        at.astimezone(UTC).isoformat(timespec="seconds") for at in (one.since, one.until)
    )
    by = "" if one.staff_id is None else names.get(one.staff_id, str(one.staff_id))
    digest = one.sha256.hex() if one.sha256 else ""
    return _Row(
        since, until, one.basis.value, one.to_whom, one.fields, one.n, one.reason, by, digest
    )


def _line(one: Disclosure) -> Line:
    return Line(
        number=one.id,
        since=one.at,
        until=one.at,
        basis=one.basis,
        to_whom=one.to_whom,
        fields=one.fields,
        n=one.n,
        reason=one.reason,
        staff_id=one.staff_id,
        sha256=one.sha256,
    )


def _of_vendor(session: Session) -> Iterator[Line]:
    """Add up the vendor's calls, year by year, the newest first."""
    at = HandOver.claimed_at
    first = session.scalar(select(func.min(at)))
    last = session.scalar(select(func.max(at)))
    if first is None or last is None:
        return
    for year in range(last.astimezone(UTC).year, first.astimezone(UTC).year - 1, -1):
        begin, end = (datetime(one, 1, 1, tzinfo=UTC) for one in (year, year + 1))
        rows = session.execute(
            select(
                HandOver.vendor, HandOver.fields, func.sum(HandOver.n), func.min(at), func.max(at)
            )
            # A request that never began disclosed nothing.
            .where(at >= begin, at < end, HandOver.outcome.is_distinct_from(GIVEN_BACK))
            .group_by(HandOver.vendor, HandOver.fields)
            .order_by(HandOver.vendor, HandOver.fields)
        )
        for vendor, fields, n, since, until in rows:
            basis = DisclosureBasis.VENDOR
            yield Line(None, since, until, basis, vendor, fields, int(n), _MAIL, None, None)
