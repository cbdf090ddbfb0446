"""Whether the addresses in people's links lead to this installation."""

import json
import socket
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from mailprefs.doctor.findings import Finding, ok, warning, wrong
from mailprefs.keys import installation_id
from mailprefs.settings import Environment, Settings, is_loopback
from mailprefs.vendor.connections import (
    Connection,
    Endpoint,
    NotConnected,
    Reply,
    Unclear,
    verified_tls,
)

AREA = "Base URL"
_TIMEOUT = 5.0


def of_addresses(
    settings: Settings, token_keys: tuple[bytes, ...], others: Iterable[str]
) -> Iterator[Finding]:
    """Check the base URL, and those of the senders (*others*) that have their own."""
    for url in sorted({settings.base_url, *others}, key=lambda one: one != settings.base_url):
        yield _of_address(url, settings, installation_id(token_keys))


def _of_address(url: str, settings: Settings, wanted: str) -> Finding:
    host = urlsplit(url).hostname or ""
    is_sandbox = settings.environment is Environment.SANDBOX
    if not is_sandbox and not url.startswith("https://"):
        said = f"{url} is plain http: tokens of readers would cross the network readable."
        return wrong(
            AREA, said, "Set it to https://..., and let your web server hold a certificate."
        )
    if not is_sandbox and is_loopback(url):
        said = f"{url} is this machine alone; no reader can reach it."
        return wrong(AREA, said, "Set MAILPREFS_BASE_URL to the address that people reach.")
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        said = f"{host} can't be resolved, so no link in a mail works."
        return wrong(AREA, said, "Add the name to your DNS, or mend the setting.")
    try:
        reply = _asked(url)
    except (NotConnected, Unclear) as failure:
        grave = warning if is_sandbox else wrong
        said = f"{url} doesn't answer. {str(failure).replace(' to the vendor', '')}"
        return grave(
            AREA, said, "Start the service (`mailprefs run`), or look at the proxy in front."
        )
    return _judged(url, reply, wanted)


def _asked(url: str) -> Reply:
    parts = urlsplit(url)
    tls = verified_tls() if parts.scheme == "https" else None
    line = Connection(Endpoint(str(parts.hostname), parts.port, tls, _TIMEOUT, _TIMEOUT))
    try:
        return line.ask("GET", "/healthz", None, {"User-Agent": "mailprefs doctor"})
    finally:
        line.close()


def _judged(url: str, reply: Reply, wanted: str) -> Finding:
    if 300 <= reply.status < 400:
        said = f"{url} answers with a redirect; the webhook and one-click unsubscribing fail."
        return wrong(AREA, said, "Set it to the address that answers itself.")
    try:
        answer = json.loads(reply.body)
    except ValueError:
        answer = None
    found = answer.get("installation") if isinstance(answer, dict) else None
    if found is None:
        said = f"{url} leads to something that isn't mailprefs (it answered {reply.status})."
        return wrong(AREA, said, "Mend the setting, or pass all paths on to the service.")
    if found != wanted:
        said = f"{url} leads to another installation, or to one that runs with older keys."
        return wrong(AREA, said, "Restart the service; if that doesn't help, mend the setting.")
    if reply.status != 200:
        said = f"{url} leads here, and the service says that its database is away."
        return wrong(AREA, said, "See the line on the database.")
    return ok(AREA, f"{url} leads here.")
