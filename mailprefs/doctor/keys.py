"""Keys: there, strong, and the ones that what is stored was made with."""

import binascii
from base64 import b64decode
from collections.abc import Callable, Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import addresses, links
from mailprefs.addresses import AddressHasher, normalise
from mailprefs.doctor.findings import Finding, ok, warning, wrong
from mailprefs.errors import BadSetting
from mailprefs.schema.people import Recipient
from mailprefs.settings import Environment, Settings

_RESTORE = "Restore settings.env from its backup; new keys would cut off every link ever sent."


def of_settings(settings: Settings) -> Iterator[Finding]:
    """Check the keys that the settings hold."""
    tokens, address = settings.token_keys, settings.address_key
    yield _parsed("Token keys", tokens.get_secret_value(), links.parse_keys)
    yield _parsed("Address key", address.get_secret_value(), addresses.parse_key)
    if settings.sendgrid_api_key.get_secret_value():
        yield ok("Vendor's key", "It is set.")
    else:
        todo = "Set MAILPREFS_SENDGRID_API_KEY to a key that may send mail."
        yield wrong("Vendor's key", "It is not set, so nothing can be sent.", todo)
    yield _webhook_key(settings)
    if (inbound := _inbound_key(settings)) is not None:
        yield inbound


def of_stored(session: Session, settings: Settings) -> Finding:
    """Check that the address key is the one that the stored hashes were made with."""
    area = "Stored hashes"
    ids = set(session.scalars(select(Recipient.address_key_id).distinct().limit(9)))
    if not ids:
        return ok(area, "Nobody is on file yet.")
    if ids != {1}:
        return wrong(area, "Some people's hashes name a key that isn't set here.", _RESTORE)
    hasher = AddressHasher(addresses.parse_key(settings.address_key.get_secret_value()), key_id=1)
    newest = session.execute(
        select(Recipient.address, Recipient.address_hash).order_by(Recipient.id.desc()).limit(1)
    ).one()
    if hasher.hash(normalise(newest.address).key) != newest.address_hash:
        said = "They were made with another address key: suppressions would not be found."
        return wrong(area, said, _RESTORE)
    return ok(area, "They were made with the address key that is set.")


def _parsed(area: str, text: str, parse: Callable[[str], object]) -> Finding:
    try:
        parse(text)
    except BadSetting as error:
        todo = "`mailprefs init` makes the keys of a new installation. " + _RESTORE
        return wrong(area, str(error), todo)
    count = text.count(",") + 1
    return ok(area, "It is there and strong." if count == 1 else f"All {count} are strong.")


def _webhook_key(settings: Settings) -> Finding:
    area = "Webhook's key"
    keys = _listed(settings.sendgrid_webhook_key)
    if not keys:
        said = "MAILPREFS_SENDGRID_WEBHOOK_KEY is not set, so no event of the vendor is taken."
        todo = "Copy the verification key from the vendor's page of the signed event webhook."
        grave = warning if settings.environment is Environment.SANDBOX else wrong
        return grave(area, said, todo)
    return _judged(area, keys)


def _inbound_key(settings: Settings) -> Finding | None:
    """Check the key of mail to our mailbox, where there is a mailbox or a key for it."""
    area, keys = "Inbound mail's key", _listed(settings.sendgrid_inbound_key)
    if not keys:
        if not settings.inbound_mailbox:
            return None
        said = (
            "MAILPREFS_SENDGRID_INBOUND_KEY is not set, so mail to MAILPREFS_INBOUND_MAILBOX waits "
            "at the vendor, and the vendor drops it after some days: people who leave by mail "
            "wouldn't be heard."
        )
        todo = (
            "Set it to the public key of the security policy at the vendor (docs/inbound.md), or "
            "take the mailbox out."
        )
        return wrong(area, said, todo)
    if not settings.inbound_mailbox:
        said = "It is set, but MAILPREFS_INBOUND_MAILBOX isn't: no message names the mailbox."
        return warning(area, said, "Set the mailbox's address, or take the key out.")
    return _judged(area, keys)


def _listed(setting: str) -> list[str]:
    """Give the keys of a setting: two are there while one is replaced."""
    return [key for part in setting.split(",") if (key := part.strip())]


def _judged(area: str, keys: list[str]) -> Finding:
    if not all(_is_public_key(key) for key in keys):
        todo = "Copy it again, as one line of base64, without BEGIN and END."
        return wrong(area, "It isn't a public key (ECDSA, P-256).", todo)
    return ok(area, "It is set.")


def _is_public_key(text: str) -> bool:
    try:
        key = load_der_public_key(b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(key, EllipticCurvePublicKey)
