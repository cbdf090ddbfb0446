"""Mail to the service, as the vendor's Inbound Parse posts it: signed, repeated on 5xx, else gone.

A mail program that unsubscribes by mail fills in the ``mailto:`` of the header and sends. What the
vendor makes of such a mail is a form; here it is made at once.
"""

import http.client
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from mailprefs.sandbox.events import SigningKey
from mailprefs.sandbox.records import Message
from mailprefs.vendor.webhooks import SIGNATURE_HEADER, TIMESTAMP_HEADER

MOST_TRIES: Final = 5
FIRST_RETRY: Final = 0.25
"""Seconds before a mail that was answered with 5xx is posted again: twice as long each time. The
vendor takes minutes and hours; it gives up after three days, and this after a few seconds."""
_TIMEOUT: Final = 30.0
_MAILTO = re.compile(r"<mailto:([^>\s]+)>", re.IGNORECASE)

log = logging.getLogger("mailprefs.sandbox")


class Letter(NamedTuple):
    """A mail that a person sends to the service."""

    sender: str
    to: str
    subject: str
    text: str


def leaving(message: Message) -> Letter | None:
    """Give what a mail program sends by the ``mailto:`` of a message; None if it has none."""
    headers = {name.lower(): value for name, value in message.headers.items()}
    found = _MAILTO.search(headers.get("list-unsubscribe", ""))
    if found is None:
        return None
    to, _, query = found[1].partition("?")
    subject = parse_qs(query).get("subject", [""])[0]
    return Letter(message.email, unquote(to), subject, "")


def form(letter: Letter) -> dict[str, str]:
    """Give the fields that the vendor makes of a mail."""
    domain = letter.sender.rpartition("@")[2]
    headers = {
        "Received": f"from mx.{domain} (mxd [203.0.113.9]) by mx.sendgrid.net with ESMTP",
        "DKIM-Signature": f"v=1; a=rsa-sha256; d={domain}; s=sandbox; h=from:to:subject; bh=; b=",
        "Message-ID": f"<{secrets.token_hex(12)}@{domain}>",
        "Date": formatdate(),
        "From": letter.sender,
        "To": letter.to,
        "Subject": letter.subject,
        "Content-Type": "text/plain; charset=UTF-8",
    }
    return {
        "headers": "".join(f"{name}: {value}\n" for name, value in headers.items()),
        "dkim": f"{{@{domain} : pass}}",
        "to": letter.to,
        "from": letter.sender,
        "subject": letter.subject,
        "text": f"{letter.text}\n",
        "sender_ip": "203.0.113.9",
        "envelope": json.dumps({"to": [letter.to], "from": letter.sender}),
        "attachments": "0",
        "charsets": json.dumps(dict.fromkeys(("to", "from", "subject", "text"), "UTF-8")),
        "SPF": "pass",
        "spam_score": "0.1",
    }


def post(
    url: str, key: SigningKey, letter: Letter, *, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Post a mail until it is taken or refused; give the last status, 0 for no answer at all."""
    boundary = secrets.token_hex(8)
    body = _encoded(form(letter), boundary)
    status = 0
    for again in range(MOST_TRIES):
        if again:
            sleep(FIRST_RETRY * 2 ** (again - 1))
        status = _once(url, key, body, boundary)
        if 0 < status < http.client.INTERNAL_SERVER_ERROR:
            break
    return status


def _encoded(fields: Mapping[str, str], boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


def _once(url: str, key: SigningKey, body: bytes, boundary: str) -> int:
    where, timestamp = urlsplit(url), str(int(time.time()))
    line = http.client.HTTPConnection(str(where.hostname), where.port, timeout=_TIMEOUT)
    try:
        line.request(
            "POST",
            where.path or "/",
            body=body,
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "User-Agent": "Sendlib/1.0 (mailprefs sandbox)",
                SIGNATURE_HEADER: key.sign(timestamp, body),
                TIMESTAMP_HEADER: timestamp,
            },
        )
        response = line.getresponse()
        response.read(1_000)
    except (OSError, http.client.HTTPException) as failure:
        log.info("inbound not reached: %s", type(failure).__name__)
        return 0
    finally:
        line.close()
    return response.status
