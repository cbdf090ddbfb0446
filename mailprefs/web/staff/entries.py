"""Entries of the audit as people read them: who, what, about what, when, and why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import staff, subscriptions, times
from mailprefs.schema.campaigns import Campaign
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.staff import AuditEntry
from mailprefs.web.staff import words

_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*[+Z].*")
# Numbers of the machinery, which say nothing to people; the store keeps them.
_UNSAID: Final = frozenset({"request_id"})
_DOORS: Final = {"page": "", "console": "at the console", "system": "", "api": "through the API"}


class Line(NamedTuple):
    """One entry: ``subject`` is what it is about, ``url`` its page, ``facts`` its details."""

    at: datetime
    who: str
    door: str
    done: str
    subject: str
    url: str | None
    reason: str | None
    facts: list[tuple[str, str]]


class _Names(NamedTuple):
    """What numbers in the audit are called, by kind and number."""

    staff: dict[int, str]
    topics: dict[int, str]
    of: dict[tuple[str, str], str]


def lines(session: Session, entries: Sequence[AuditEntry], *, zone: str) -> list[Line]:
    """Give *entries* in words, times in *zone*."""
    names = _names(session, entries)
    return [_line(entry, names, zone) for entry in entries]


def _names(session: Session, entries: Sequence[AuditEntry]) -> _Names:
    """Look up what the subjects are called: one query a kind, however many entries."""
    people = {person.id: person.name for person, _ in staff.listed(session)}
    topics = {topic.id: topic.name for topic in subscriptions.topics(session)}
    found = {("staff", str(number)): name for number, name in people.items()}
    found |= {("topic", str(number)): f"“{name}”" for number, name in topics.items()}
    for sender in subscriptions.senders(session):
        found["sender", str(sender.id)] = f"“{sender.name}”, {sender.message_class.value}"
    for number, version in session.execute(select(PolicyVersion.id, PolicyVersion.version)):
        found["policy_version", str(number)] = f"version {version}"
    ids = {int(one.subject_id) for one in entries if one.subject_kind == "campaign"}
    for number, name in session.execute(
        select(Campaign.id, Campaign.name).where(Campaign.id.in_(ids))
    ):
        found["campaign", str(number)] = f"“{name}” (campaign {number})"
    return _Names(people, topics, found)


def _line(entry: AuditEntry, names: _Names, zone: str) -> Line:
    nobody = {"console": "The console", "api": "A program"}.get(entry.door, "mailprefs itself")
    who = nobody if entry.staff_id is None else names.staff.get(entry.staff_id, "somebody")
    return Line(
        at=entry.at,
        who=who,
        door="" if entry.staff_id is None else _DOORS.get(entry.door, entry.door),
        done=words.action(entry.action),
        subject=_subject(entry, names),
        url=_url(entry),
        reason=entry.reason,
        facts=list(_facts(entry.details, names, zone)),
    )


def _subject(entry: AuditEntry, names: _Names) -> str:
    """Say what an entry is about; a recipient is a number here, and stays one."""
    if entry.subject_kind == "vendor":
        return "all sending"
    kind = entry.subject_kind.replace("_", " ")
    plain = f"{kind} {entry.subject_id.replace('_', ' ')}"
    return names.of.get((entry.subject_kind, entry.subject_id), plain)


def _url(entry: AuditEntry) -> str | None:
    if entry.subject_kind != "campaign":
        return None
    return url_for("staff.campaigns.show", campaign_id=int(entry.subject_id))


def _facts(details: Mapping[str, Any], names: _Names, zone: str) -> Iterator[tuple[str, str]]:
    """Give the details that say something: nothing empty, nothing that only machines read."""
    for key, value in details.items():
        if key in _UNSAID or not value:
            continue
        if key == "changes":
            yield from (_change(change, names) for change in value)
        else:
            yield key.replace("_", " "), _said(value, zone)


def _change(change: Sequence[Any], names: _Names) -> tuple[str, str]:
    """Say one choice: a topic by its name, a purpose by its own."""
    purpose, topic_id, new = change
    about = str(purpose).replace("_", " ")
    return (names.topics.get(topic_id, f"topic {topic_id}") if topic_id else about), str(new)


def _said(value: object, zone: str) -> str:
    """Say a value of JSON: an instant in *zone*, the parts of a list or a dictionary in a row."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_said(n, zone)}" for key, n in value.items())
    if isinstance(value, list):
        return ", ".join(_said(one, zone) for one in value)
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return times.written(datetime.fromisoformat(value), zone)
    if isinstance(value, int) and not isinstance(value, bool):
        return words.number(value)
    return str(value).replace("_", " ")
