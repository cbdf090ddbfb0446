"""Tell the operator by mail: one single administrative message for all that is new, now and then.

It goes the way of every single message, through the ledger, so not while sending is stopped; what
came and went meanwhile is told afterwards. While the vendor answers nothing clear it is queued all
the same: where nothing else waits, this mail is what finds out whether calls are answered again.
The operator's address is no reader's: unless its owner is on file anyway, it is kept as an
unconfirmed one, which gets these messages and nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import recipients, staff, times
from mailprefs.addresses import AddressHasher, normalise
from mailprefs.alarms import keeping
from mailprefs.alarms.keeping import Channel
from mailprefs.db.turns import take_turn
from mailprefs.deliveries import single
from mailprefs.errors import BadAddress
from mailprefs.policy import Role
from mailprefs.schema.alarms import Alarm
from mailprefs.schema.deliveries import VendorPace

TEMPLATE: Final = "alarm"
EVERY: Final = timedelta(minutes=15)
_LINES: Final = 5
_LONGEST_LINE: Final = 220


def queue(session: Session, hasher: AddressHasher, to: str, *, base_url: str, now: datetime) -> int:
    """Queue one message to each operator about all alarms not mailed yet; give how many.

    *to* is MAILPREFS_ALARM_MAIL; without it, staff who are admins. Nothing while sending is
    stopped, nor within 15 minutes of the last one.

    :raises Conflict: while there is no administrative topic or no privacy policy.
    """
    if _is_stopped(session):
        return 0
    news = keeping.waiting(session, Channel.MAIL, now=now)
    addresses = _operators(session, to)
    if not news or not addresses or not take_turn(session, "alarm mail", every=EVERY, now=now):
        return 0
    values = _values(news, f"{base_url}/staff/alarms")
    for address in addresses:
        recipient_id = recipients.of_operator(session, hasher, address, now=now)
        key = f"{now:%Y%m%dT%H%M%S}:{recipient_id}"
        single.queue(session, TEMPLATE, recipient_id, values, key, now=now)
    for alarm in news:
        keeping.mark(session, Channel.MAIL, alarm, now=now)
    return len(addresses)


def _is_stopped(session: Session) -> bool:
    return session.scalar(select(VendorPace.stopped_at)) is not None


def _operators(session: Session, to: str) -> list[str]:
    """Give who is told, in lower case; an address that is none is left out."""
    if to:
        wanted: Iterable[str] = to.split(",")
    else:
        people = staff.listed(session)
        wanted = [one.email for one, roles in people if one.active and Role.ADMIN in roles]
    found = []
    for text in wanted:
        try:
            found.append(normalise(text.strip()).address)
        except BadAddress:
            continue
    return found


def _values(news: Sequence[Alarm], alarms_url: str) -> dict[str, str]:
    """Give the merge values: a headline, a line for each alarm, and how many more there are."""
    raised = sum(one.cleared_at is None for one in news)
    over = len(news) - raised
    parts = [f"{raised} new"] if raised else []
    parts += [f"{over} over"] if over else []
    word = "alarm" if len(news) == 1 else "alarms"
    values = {"headline": f"{' and '.join(parts)} {word} at mailprefs", "alarms_url": alarms_url}
    if len(news) == 1:
        values["headline"] = "An alarm at mailprefs" if raised else "An alarm at mailprefs is over"
    for number, alarm in enumerate(news[:_LINES], 1):
        values[f"line_{number}"] = _line(alarm)
    if len(news) > _LINES:
        values["more"] = f"And {len(news) - _LINES} more."
    return values


def _line(alarm: Alarm) -> str:
    if alarm.cleared_at is None:
        when = f"since {times.written(alarm.since)}"
    else:
        when = f"over since {times.written(alarm.cleared_at)}"
    room = _LONGEST_LINE - len(when) - 3
    sentence = alarm.sentence
    if len(sentence) > room:
        sentence = sentence[: room - 1].rstrip() + "…"
    return f"{sentence} ({when})"
