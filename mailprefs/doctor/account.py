"""Whether the vendor's account is set as the promises need it; asked, never changed."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from mailprefs.doctor.findings import Finding, ok, warning, wrong
from mailprefs.settings import Settings
from mailprefs.vendor.account import Account, BadKey, Forbidden, NoAnswer, Webhook

WEBHOOK_PATH: Final = "/webhooks/sendgrid/events"
NEEDED: Final = ("processed", "delivered", "dropped", "bounce", "spam_report", "unsubscribe")
"""Kinds of event without which something here stays unknown; in the vendor's words."""
_TRACKING: Final = frozenset({"open", "click"})
_OFF_BY: Final = timedelta(seconds=10)
_WRONG_BY: Final = timedelta(minutes=5)
_NAMES: Final = {
    "open": "open tracking",
    "click": "click tracking",
    "subscription": "subscription tracking",
    "google_analytics": "Google Analytics",
}


def of_account(account: Account, settings: Settings, senders: Iterable[str]) -> list[Finding]:
    """Check webhook, tracking and the From addresses *senders* of the vendor's account.

    What holds for all of it, such as a key that may only send, is one finding.
    """
    domains = _by_domain(senders)
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("Webhook", lambda: [_webhook(account, settings)]),
        ("Vendor tracking", lambda: [_tracking(account)]),
        ("Sender", lambda: [_sender(account, *one) for one in domains]),
    ]
    found: list[Finding] = []
    unread: list[str] = []
    for area, check in checks:
        try:
            found += check()
        except Forbidden:
            unread.append(area)
        except BadKey as failure:
            todo = "Set MAILPREFS_SENDGRID_API_KEY to a key of the account that is in force."
            return [wrong("Vendor", str(failure), todo)]
        except NoAnswer as failure:
            todo = "Look at MAILPREFS_SENDGRID_HOST, and at the network between you and the vendor."
            return [*found, wrong("Vendor", str(failure), todo)]
    return [*found, *_unread(unread, of=len(checks))]


def of_clocks(here: datetime, others: Iterable[tuple[str, datetime]]) -> Iterator[Finding]:
    """Compare this machine's clock with *others*, each with whose it is."""
    for whose, there in others:
        off = abs(here - there)
        seconds = f"{off.total_seconds():.0f} seconds"
        if off < _OFF_BY:
            yield ok("Clock", f"It agrees with {whose}.")
            continue
        grave = warning if off < _WRONG_BY else wrong
        todo = "Let a time service (such as systemd-timesyncd or chrony) set the clock."
        yield grave("Clock", f"It differs from {whose} by {seconds}.", todo)


def _unread(areas: list[str], *, of: int) -> Iterator[Finding]:
    todo = "That is fine for a key that only sends. Look at the vendor's pages yourself."
    if len(areas) == of:
        said = "The key may not read the account: webhook, tracking and senders weren't checked."
        yield warning("Vendor", said, todo)
        return
    for area in areas:
        yield warning(area, "The key may not read this, so it wasn't checked.", todo)


def _by_domain(senders: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Give the From addresses by their domain, which is what is authenticated."""
    found: dict[str, list[str]] = {}
    for address in sorted(set(senders)):
        found.setdefault(address.rpartition("@")[2].lower(), []).append(address)
    return list(found.items())


def _webhook(account: Account, settings: Settings) -> Finding:
    wanted = f"{settings.base_url}{WEBHOOK_PATH}"
    found = account.webhooks()
    ours = next((one for one in found if one.url == wanted), None)
    if ours is None:
        elsewhere = ", ".join(sorted({urlsplit(one.url).netloc for one in found}))
        said = f"None posts to {wanted}."
        said += f" The vendor posts to {elsewhere} instead." if elsewhere else ""
        return wrong("Webhook", said, "Add it on the vendor's page, with its signature.")
    if not ours.is_enabled:
        return wrong("Webhook", "It is switched off.", "Switch it on, on the vendor's page.")
    return _signed(account.signing_key(ours.id), settings) or _events(ours)


def _signed(theirs: str, settings: Settings) -> Finding | None:
    if not theirs:
        said = "Its events aren't signed, so they are refused here."
        todo = "Switch its signature on, and copy its key into the settings."
        return wrong("Webhook", said, todo)
    if theirs not in {part.strip() for part in settings.sendgrid_webhook_key.split(",")}:
        todo = "Copy the verification key into MAILPREFS_SENDGRID_WEBHOOK_KEY."
        return wrong("Webhook", "It is signed with a key that isn't set here.", todo)
    return None


def _events(ours: Webhook) -> Finding:
    if missing := [word for word in NEEDED if word not in ours.events]:
        said = f"It doesn't tell of {_listed(missing)}."
        return wrong("Webhook", said, "Tick these kinds of event on the vendor's page.")
    if measured := sorted(_TRACKING & ours.events):
        said = f"It tells of {_listed(measured)}, which the policy doesn't allow to measure there."
        return wrong("Webhook", said, "Untick them on the vendor's page.")
    return ok("Webhook", "It is on, signed with our key, and tells what is needed.")


def _tracking(account: Account) -> Finding:
    is_on = account.tracking()
    if not is_on:
        return ok("Vendor tracking", "All of it is off.")
    said = (
        f"Switched on in the account: {_listed(_NAMES[kind] for kind in is_on)}. Each request of "
        "ours switches it off for itself."
    )
    todo = "Switch it off on the vendor's page of tracking, so that no other mail is measured."
    return warning("Vendor tracking", said, todo)


def _sender(account: Account, domain: str, addresses: list[str]) -> Finding:
    if account.is_authenticated(domain):
        return ok("Sender", f"{domain} is authenticated.")
    if all(account.is_verified(address) for address in addresses):
        said = f"Senders at {domain} are verified one by one; the domain isn't authenticated."
        todo = "Authenticate the domain (DKIM), or large mailbox providers refuse bulk mail."
        return warning("Sender", said, todo)
    said = f"{domain} is not authenticated, so the vendor refuses mail from it."
    todo = "Authenticate the domain on the vendor's page; it gives you the DNS records."
    return wrong("Sender", said, todo)


def _listed(words: Iterable[str]) -> str:
    *first, last = (word.replace("_", " ") for word in words)
    return f"{', '.join(first)} and {last}" if first else last
