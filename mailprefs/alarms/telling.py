"""Tell MAILPREFS_ALARM_URL of an alarm: one JSON object, posted once it was raised, and once gone.

The receiver has ten seconds; a redirect isn't followed and counts as not told. Whatever goes wrong
is tried again by the next look, and stops nothing.
"""

import json
import logging
from typing import Any, Final
from urllib.parse import urlsplit

from mailprefs.alarms.kinds import RUNBOOK, AlarmKind
from mailprefs.schema.alarms import Alarm
from mailprefs.vendor.connections import Connection, Endpoint, NotConnected, Unclear, verified_tls

TIMEOUT: Final = 10.0

log = logging.getLogger("mailprefs.alarms")


def post(url: str, alarm: Alarm) -> bool:
    """Post *alarm* as it stands; tell whether the receiver took it, with any 2xx."""
    parts = urlsplit(url)
    tls = verified_tls() if parts.scheme == "https" else None
    line = Connection(Endpoint(str(parts.hostname), parts.port, tls, TIMEOUT, TIMEOUT))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    content = json.dumps(document(alarm), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "mailprefs"}
    try:
        reply = line.post(path, content, headers)
    except (NotConnected, Unclear):
        log.warning("MAILPREFS_ALARM_URL can't be reached; it is tried again in a minute.")
        return False
    finally:
        line.close()
    if not 200 <= reply.status < 300:
        log.warning("MAILPREFS_ALARM_URL answered %d; it is tried again.", reply.status)
        return False
    return True


def document(alarm: Alarm) -> dict[str, Any]:
    """Give an alarm as JSON: for the receiver, and for ``mailprefs alarms --json``."""
    return {
        "kind": alarm.kind,
        "subject": alarm.subject,
        "state": "raised" if alarm.cleared_at is None else "cleared",
        "sentence": alarm.sentence,
        "since": alarm.since.isoformat(),
        "raised_at": alarm.raised_at.isoformat(),
        "cleared_at": alarm.cleared_at.isoformat() if alarm.cleared_at else None,
        "runbook": runbook(alarm.kind),
    }


def runbook(kind: str) -> str:
    """Give where the runbook tells of a kind: its entry, or the page for one of a later release."""
    known = {one.value: one for one in AlarmKind}
    return f"{RUNBOOK}#{known[kind].advice.anchor}" if kind in known else RUNBOOK
