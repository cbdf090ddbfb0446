"""The adapter to SendGrid's Mail Send v3: one request, once, and what became of it.

The ``sendgrid`` package gives host, headers and exceptions, but doesn't carry the request: its
client opens a connection and a TLS context per call, waits for ever, follows a redirect as a GET
that it reports as success, obeys proxy variables, and logs the API key at DEBUG. Here one
connection per thread is kept alive, every wait has an end, and nothing is retried or followed.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from python_http_client.exceptions import HTTPError, err_dict
from sendgrid import SendGridAPIClient

from mailprefs import errors
from mailprefs.settings import is_loopback
from mailprefs.vendor import answers
from mailprefs.vendor.bodies import assemble, body
from mailprefs.vendor.connections import (
    Connections,
    Endpoint,
    NotConnected,
    Reply,
    TooLate,
    Unclear,
    verified_tls,
)
from mailprefs.vendor.message import Mailing, Outcome, Verdict
from mailprefs.vendor.preflight.request import MOST_REQUEST_BYTES
from mailprefs.vendor.preflight.rules import Fault
from mailprefs.vendor.webhooks import parse_events, verify_signature

__all__ = ["SendGrid", "body", "parse_events", "verify_signature"]

PATH = "/v3/mail/send"

# At DEBUG the package writes payload and headers, our key among them.
_PACKAGE_LOGGER = logging.getLogger("python_http_client")
_PACKAGE_LOGGER.setLevel(logging.INFO)


class SendGrid:
    """The vendor over HTTP; safe to share between threads, each of which has its own connection.

    *host* is a URL as ``https://api.sendgrid.com``; plain ``http`` only for a loopback host, where
    the sandbox is. Timeouts are in seconds.

    :raises BadSetting: for a key or a host that can't work or isn't safe.
    """

    def __init__(
        self,
        api_key: str,
        host: str,
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 60.0,
    ) -> None:
        _PACKAGE_LOGGER.setLevel(logging.INFO)
        self._key = _checked_key(api_key)
        package = SendGridAPIClient(self._key, host=_checked_host(host))
        self._host: str = package.host
        self._headers: Mapping[str, str] = {
            **package.client.request_headers,
            "Content-Type": "application/json",
        }
        url = urlsplit(self._host)
        tls = verified_tls() if url.scheme == "https" else None
        self._connections = Connections(
            Endpoint(str(url.hostname), url.port, tls, connect_timeout, read_timeout)
        )

    def __repr__(self) -> str:
        return f"SendGrid({self._host!r})"

    def hand_over(self, mailing: Mailing) -> Outcome:
        """Send *mailing* once and tell what became of it, by the contract's table of answers.

        What the vendor would refuse never leaves: its sentence comes back as the reason.
        """
        people = len(mailing.people)
        try:
            assembled = assemble(mailing)
        except errors.Preflight as refusal:
            return Outcome(verdict=Verdict.REFUSED_MESSAGE, reason=str(refusal))
        if assembled.refused:
            return _refused_people(assembled.refused, people)
        if len(assembled.content) >= MOST_REQUEST_BYTES:
            verdict = Verdict.TOO_LARGE if people > 1 else Verdict.REFUSED_MESSAGE
            reason = f"The request has {len(assembled.content)} bytes, over the vendor's limit."
            return Outcome(verdict=verdict, reason=reason)
        outcome = self._carry(assembled.content, people, mailing.begin_by)
        # Whatever an answer says, it doesn't say our key.
        return replace(outcome, reason=outcome.reason.replace(self._key, "…"))

    def close(self) -> None:
        """Close all kept connections; a later ``hand_over`` opens its own again."""
        self._connections.close()

    def _carry(self, content: bytes, people: int, begin_by: float) -> Outcome:
        try:
            return answers.accepted(self._post(content, begin_by))
        except HTTPError as error:
            reply = Reply(error.status_code, error.reason, error.headers, error.body)
            return answers.refused(reply, people, datetime.now(UTC))
        except NotConnected as failure:
            return Outcome(verdict=Verdict.NOT_CONNECTED, reason=str(failure))
        except TooLate as failure:
            return Outcome(verdict=Verdict.NOT_BEGUN, reason=str(failure))
        except Unclear as failure:
            return Outcome(verdict=Verdict.UNCLEAR, reason=str(failure))

    def _post(self, content: bytes, begin_by: float) -> Reply:
        """Post one request; give the answer if it is 202, else raise the package's exception."""
        reply = self._connections.mine().post(PATH, content, self._headers, begin_by=begin_by)
        if reply.status != HTTPStatus.ACCEPTED:
            raise err_dict.get(reply.status, HTTPError)(
                reply.status, reply.reason, reply.body, reply.headers
            )
        return reply


def _refused_people(refused: Mapping[int, Fault], people: int) -> Outcome:
    """Tell people who can't be written to from a message that nobody can be sent."""
    first = next(iter(refused.values()))
    addresses_only = all("to" in fault.place for fault in refused.values())
    if len(refused) == people > 1 and not addresses_only:
        return Outcome(verdict=Verdict.REFUSED_MESSAGE, reason=first.sentence)
    count = f"{len(refused)} recipients" if len(refused) > 1 else "1 recipient"
    return Outcome(
        verdict=Verdict.REFUSED_ADDRESS,
        refused=tuple(sorted(refused)),
        reason=f"{count} can't be handed over. {first.sentence}",
    )


def _checked_key(key: str) -> str:
    # The package takes a key from its own variable where it is given none, and http.client quotes
    # a header that it can't send, so neither ever sees such a key.
    if not re.fullmatch(r"[!-~]+", key):
        raise errors.BadSetting(
            "MAILPREFS_SENDGRID_API_KEY is empty or holds a character that no key has (a space, a"
            " line break?). Copy it again from the vendor's page."
        )
    return key


def _checked_host(host: str) -> str:
    try:
        url = urlsplit(host)
        name, port = url.hostname or "", url.port
        name.encode("idna")
    except ValueError:
        raise errors.BadSetting(_HOST_FORM) from None
    bare = not (url.username or url.password or url.query or url.fragment or url.path.strip("/"))
    if url.scheme not in {"http", "https"} or not name or not bare:
        raise errors.BadSetting(_HOST_FORM)
    if url.scheme == "http" and not is_loopback(host):
        raise errors.BadSetting(
            "MAILPREFS_SENDGRID_HOST is plain http, which would show the key and every message to"
            " the network. Use https; http is only for a sandbox on this machine."
        )
    shown = f"[{name}]" if ":" in name else name
    return f"{url.scheme}://{shown}" + (f":{port}" if port else "")


_HOST_FORM = (
    "MAILPREFS_SENDGRID_HOST isn't the address of a host. Write it as https://api.sendgrid.com,"
    " without a path."
)
