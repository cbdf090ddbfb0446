"""Settings become parts, and parts become a web application: the only place that joins them."""

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from mailprefs import addresses, links, periods
from mailprefs.db.database import Database
from mailprefs.journal import Journal
from mailprefs.settings import Settings, templates_dir
from mailprefs.spool import Spool
from mailprefs.vendor.message import Mailing, Outcome, Vendor, Verdict
from mailprefs.web.parts import Parts

if TYPE_CHECKING:
    from flask import Flask

    from mailprefs.audit import Actor
    from mailprefs.instance import Guard
    from mailprefs.jobs.adoption import Adoption
    from mailprefs.jobs.closing import Closing
    from mailprefs.jobs.erasures import Erasures
    from mailprefs.jobs.ledger import Nightly
    from mailprefs.jobs.policies import Policies
    from mailprefs.jobs.reconciliation import Comparison
    from mailprefs.jobs.retention import Retention
    from mailprefs.vendor.suppression_lists import SuppressionLists

# Bytes of a form; the webhook and the import of files set their own.
_LARGEST_BODY: Final = 256 * 1024


def build(settings: Settings, *, vendor: Vendor | None = None) -> Parts:
    """Make the parts of the installation that *settings* describe; nothing is connected yet.

    *vendor* stands in for SendGrid in tests and in the sandbox.

    :raises BadSetting: with one sentence for a missing, weak or malformed key or address.
    """
    token_keys = links.parse_keys(settings.token_keys.get_secret_value())
    address_key = addresses.parse_key(settings.address_key.get_secret_value())
    return Parts(
        settings=settings,
        db=Database(settings.database, Journal(settings.journal_file)),
        links=links.Links(token_keys, mailbox=settings.inbound_mailbox),
        hasher=addresses.AddressHasher(address_key, key_id=1),
        vendor=vendor or _vendor(settings),
        spool=Spool(settings.spool_dir),
        token_keys=token_keys,
    )


def create_app(parts: Parts) -> "Flask":
    """Make the web application of one installation: recipients' pages, pixel, webhook.

    Blueprints of staff pages and of the API are registered in ``_routes``; each of their views
    names who may call it (``web.access``), or answers nobody.
    """
    from flask import Flask

    from mailprefs.web import (
        access,
        current,
        errors,
        headers,
        pages,
        pixel,
        request_log,
        tokens,
    )

    app = Flask(
        "mailprefs",
        static_folder=str(pages.STATIC_FOLDER),
        static_url_path="/static",
        template_folder=str(templates_dir()),
    )
    app.config.from_mapping(_configuration(parts))
    tokens.install(app)
    current.install(app, parts)
    untouched = frozenset({pixel.ENDPOINT})
    pages.install(app, parts.settings)
    headers.install(app, parts.settings, untouched=untouched)
    request_log.install(app, untouched=untouched | {"static", "health.healthz", "metrics.show"})
    errors.install(app)
    app.before_request(access.guard)
    _routes(app, parts)
    pixel.install(app, parts)
    return app


def _routes(app: "Flask", parts: Parts) -> None:
    """Register every blueprint: recipients' first, then those behind a sign-in or a key."""
    from mailprefs.web import (
        archive,
        auth,
        child_reports,
        confirmations,
        erasure,
        exports,
        fresh_links,
        front,
        health,
        inbound,
        metrics,
        pixel,
        policy,
        preferences,
        sign_up,
        unsubscribe,
        webhooks,
    )
    from mailprefs.web.api import routes as api
    from mailprefs.web.staff import pages as staff_pages

    auth.install(app, parts.db)
    for module in (sign_up, fresh_links, child_reports):
        module.install(app, parts)
    asked = (fresh_links, sign_up, confirmations, exports, erasure, child_reports)
    recipients = (pixel, unsubscribe, preferences, *asked, front, policy, archive)
    for module in (*recipients, webhooks, inbound, health, metrics, staff_pages, api):
        app.register_blueprint(module.routes)


def _configuration(parts: Parts) -> dict[str, Any]:
    is_secure = parts.settings.base_url.startswith("https://")
    newest_last = [session_key(secret) for secret in parts.token_keys]
    return {
        "SECRET_KEY": newest_last[-1],
        "SECRET_KEY_FALLBACKS": newest_last[:-1],
        "MAX_CONTENT_LENGTH": _LARGEST_BODY,
        # The prefix makes browsers refuse the cookie from anybody else's subdomain.
        "SESSION_COOKIE_NAME": "__Host-mailprefs" if is_secure else "mailprefs",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": is_secure,
    }


def guard(parts: Parts) -> "Guard":
    """Give what tells whether this installation may send, or is a copy that may not."""
    from mailprefs import instance

    return instance.Guard(parts.db, instance.place(parts.settings), parts.clock)


def adoption(parts: Parts, actor: "Actor", *, with_lists: bool) -> "Adoption":
    """Give what makes a copy the live installation; *with_lists*: the vendor's are pulled, too."""
    from mailprefs import instance
    from mailprefs.jobs.adoption import Adoption

    # What it applies stands in the journal already.
    url = parts.db.engine.url.render_as_string(hide_password=False)
    quiet = replace(parts, db=Database(url))
    return Adoption(
        db=quiet.db,
        place=instance.place(parts.settings),
        hasher=parts.hasher,
        lists=comparison(quiet) if with_lists else None,
        actor=actor,
        clock=parts.clock,
    )


def erasures(parts: Parts) -> "Erasures":
    """Give what carries erasures on to the vendor and into the files."""
    from mailprefs.jobs.erasures import Erasures
    from mailprefs.vendor.erasing import VendorErasure

    key = _reading_key(parts.settings)
    vendor = VendorErasure(key, parts.settings.sendgrid_host) if key else None
    return Erasures(db=parts.db, vendor=vendor, hasher=parts.hasher, clock=parts.clock)


def _reading_key(settings: Settings) -> str:
    """Give the key that is for all but sending; that for sending where there is none; else ""."""
    read, send = settings.sendgrid_read_key, settings.sendgrid_api_key
    return read.get_secret_value() or send.get_secret_value()


def suppression_lists(settings: Settings) -> "SuppressionLists | None":
    """Give the vendor's suppression lists by the key that may read them; None without any key."""
    key = _reading_key(settings)
    if not key:
        return None
    from mailprefs.vendor.suppression_lists import SuppressionLists

    return SuppressionLists(key, settings.sendgrid_host)


def comparison(parts: Parts) -> "Comparison | None":
    """Give the comparison with the vendor's suppression lists; None without a key for them."""
    lists = suppression_lists(parts.settings)
    if lists is None:
        return None
    from mailprefs.jobs.reconciliation import Comparison

    return Comparison(
        db=parts.db,
        lists=lists,
        hasher=parts.hasher,
        zone=parts.settings.time_zone,
        clock=parts.clock,
    )


def numbers(parts: Parts) -> "Closing":
    """Give what releases the numbers of campaigns, and closes them."""
    from mailprefs.jobs.closing import Closing
    from mailprefs.reports.cells import Rule

    rule = Rule(people=parts.settings.least_people)
    return Closing(db=parts.db, rule=rule, clock=parts.clock)


def retention(parts: Parts) -> "Retention":
    """Give what deletes what is too old."""
    from mailprefs.jobs.retention import Retention

    return Retention(
        db=parts.db,
        zone=parts.settings.time_zone,
        clock=parts.clock,
        periods=periods.read(parts.settings.retention),
    )


def ledger_check(parts: Parts) -> "Nightly":
    """Give what checks the consent ledger each night, and keeps its head."""
    from mailprefs.consent.heads import Seal
    from mailprefs.jobs.ledger import Nightly

    return Nightly(
        db=parts.db,
        seal=Seal(parts.token_keys),
        heads=parts.settings.ledger_heads,
        zone=parts.settings.time_zone,
        clock=parts.clock,
    )


def policies(parts: Parts) -> "Policies":
    """Give what does what policy versions bring about."""
    from mailprefs.jobs.policies import Policies

    basis = parts.settings.unknown_region_basis
    return Policies(db=parts.db, unknown_region_basis=basis, clock=parts.clock)


def session_key(secret: bytes) -> bytes:
    """Derive the key of staff sessions from one of the token keys; it is good for nothing else."""
    # BLAKE2b takes keys of at most 64 bytes (RFC 7693 section 2.1); a token key may be longer.
    return blake2b(b"mailprefs/session/v1", key=blake2b(secret).digest(), digest_size=32).digest()


def _vendor(settings: Settings) -> Vendor:
    """Give the adapter to SendGrid, or who says that no key is set, to every attempt to send."""
    key = settings.sendgrid_api_key.get_secret_value()
    if not key:
        return _NoVendor()
    from mailprefs.vendor.sendgrid import SendGrid

    return SendGrid(
        key,
        settings.sendgrid_host,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
    )


class _NoVendor:
    """Stands where the vendor would, while there is no key: everything else works without one."""

    def hand_over(self, mailing: Mailing) -> Outcome:
        """Say that nothing can be sent, which pauses all sending until it is repaired."""
        del mailing
        reason = "MAILPREFS_SENDGRID_API_KEY is not set, so nothing was handed over; set it."
        return Outcome(verdict=Verdict.NOT_ALLOWED, reason=reason)

    def close(self) -> None:
        """Do nothing: nothing is open."""
