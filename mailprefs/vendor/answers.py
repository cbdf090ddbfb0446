"""What the vendor's answer to a hand-over means: one row of the contract's table for each status.

What the vendor writes is untrusted. A sentence made from it holds a few words of it at most, and
never an address, a link or a long token, because it is shown to staff and logged.
"""

import json
import re
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime

from mailprefs.vendor.connections import Reply
from mailprefs.vendor.message import Outcome, Verdict

LONGEST_WAIT = 3600.0
"""Seconds that a 429 may hold everybody up: a wrong header must not stop sending for days."""

# What of a personalization is the person's own; anything else there is the message's fault.
_PERSON = re.compile(
    r"personalizations[.\[](\d{1,4})\]?(?:\.(?:to|headers|substitutions|custom_args)\b.*)?"
)
_MESSAGE_ID = re.compile(r"[!-~]{1,100}")
_FIELD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,80}")
_TOKEN = re.compile(r"\S*[@/\\]\S*|\S{30,}|\S*\d{6,}\S*")
_KEY = "refuses our key, sender or credits"
_MOVED = "sends us elsewhere, which is never followed; check the setting MAILPREFS_SENDGRID_HOST"
_MEANINGS = {
    # Looks like success, but the vendor says 202 to what it accepts.
    200: (
        Verdict.REFUSED_MESSAGE,
        "only tested the message and sent nothing (its sandbox mode is on)",
    ),
    401: (Verdict.NOT_ALLOWED, _KEY),
    402: (Verdict.NOT_ALLOWED, _KEY),
    403: (Verdict.NOT_ALLOWED, _KEY),
    # The server gave up waiting for the request; how much of it arrived, nobody knows.
    408: (Verdict.UNCLEAR, "gave up waiting, and may have accepted the request"),
    413: (Verdict.TOO_LARGE, "says that the request is too large"),
}


def accepted(answer: Reply) -> Outcome:
    """Give the outcome of a 202, the only answer that means accepted."""
    message_id = answer.headers.get("X-Message-Id", "")
    return Outcome(
        verdict=Verdict.ACCEPTED,
        status=answer.status,
        message_id=message_id if _MESSAGE_ID.fullmatch(message_id) else None,
    )


def refused(answer: Reply, people: int, now: datetime) -> Outcome:
    """Give the outcome of any other answer to a request of *people* recipients."""
    if answer.status == 400:
        return _bad_request(answer, people)
    if answer.status == 429:
        return Outcome(
            verdict=Verdict.LATER,
            status=answer.status,
            retry_after=_wait(answer.headers, now),
            reason="The vendor asks us to send more slowly (429).",
        )
    verdict, means = _MEANINGS.get(answer.status) or _meaning(answer.status)
    if verdict is Verdict.TOO_LARGE and people == 1:
        # One person's message doesn't get smaller by cutting the batch.
        verdict = Verdict.REFUSED_MESSAGE
    return _outcome(answer, verdict, means)


def _meaning(status: int) -> tuple[Verdict, str]:
    """Judge a status that has no row of its own by its hundred."""
    if 300 <= status < 400:
        return Verdict.REFUSED_MESSAGE, _MOVED
    if 400 <= status < 500:
        return Verdict.REFUSED_MESSAGE, "refuses the message"
    return Verdict.UNCLEAR, "failed, and may have accepted the request"


def _bad_request(answer: Reply, people: int) -> Outcome:
    """Tell a refused person from a refused message: the first only if each error names one."""
    found = [_PERSON.fullmatch(field) for field, _ in _errors(answer.body)]
    positions = sorted({int(match[1]) for match in found if match})
    if not found or None in found or positions[-1] >= people:
        return _outcome(answer, Verdict.REFUSED_MESSAGE, "refuses the message")
    outcome = _outcome(answer, Verdict.REFUSED_ADDRESS, "refuses a recipient of the request")
    return Outcome(
        verdict=outcome.verdict,
        status=answer.status,
        refused=tuple(positions),
        reason=outcome.reason,
    )


def _outcome(answer: Reply, verdict: Verdict, means: str) -> Outcome:
    said = next(iter(_errors(answer.body)), ("", ""))
    quoted = f": “{said[1]}”" if said[1] else ""
    where = f" at {said[0]}" if said[0] else ""
    reason = f"The vendor {means} ({answer.status}){where}{quoted}."
    return Outcome(verdict=verdict, status=answer.status, reason=reason)


def _errors(body: bytes) -> list[tuple[str, str]]:
    """List field and message of the vendor's errors, made safe to show; none if it has no such."""
    try:
        listed = json.loads(body)["errors"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    entries = [entry for entry in listed if isinstance(entry, dict)] if _is_list(listed) else []
    return [(_field(entry.get("field")), _words(entry.get("message"))) for entry in entries[:1000]]


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _field(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return text if _FIELD.fullmatch(text) and text != "null" else ""


def _words(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    plain = "".join(character for character in text if character.isprintable())
    return _TOKEN.sub("…", plain[:2000])[:200].rstrip(".")


def _wait(headers: Message, now: datetime) -> float | None:
    """Read for how many seconds to wait, if the answer says so (mail/send usually doesn't)."""
    asked = headers.get("Retry-After", "")
    reset = headers.get("X-RateLimit-Reset", "")
    seconds = _number(asked)
    if seconds is None and asked:
        try:
            until = parsedate_to_datetime(asked)
        except ValueError:
            until = None
        if until is not None:
            seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    if seconds is None and (moment := _number(reset)) is not None:
        seconds = moment - now.timestamp()
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text.strip()) else None
