"""What only this installation can read, and only while its keys are there.

The vendor has to be told whom to erase after the person is gone from every table, and may be out
of reach for days. A dump, a log of the database or a backup from that time holds the address in a
form that is nothing without MAILPREFS_ADDRESS_KEY, which is outside of all three.
"""

import os
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailprefs.addresses import AddressHasher

_PURPOSE: Final = "mailprefs/erasure/v1"
_COPY: Final = "mailprefs/held-copy/v1"
_NONCE: Final = 12
_LENGTH: Final = 352
"""Characters that every address is filled up to: its length would say something about it."""


def seal(hasher: AddressHasher, address: str) -> bytes:
    """Give *address* encrypted (AES-256-GCM, NIST SP 800-38D)."""
    nonce = os.urandom(_NONCE)
    text = address.encode().ljust(_LENGTH)
    return nonce + AESGCM(hasher.derived(_PURPOSE)).encrypt(nonce, text, None)


def unseal(hasher: AddressHasher, sealed: bytes) -> str | None:
    """Give the address again; None where the key is another one now."""
    try:
        text = AESGCM(hasher.derived(_PURPOSE)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag:
        return None
    return text.decode().rstrip()


def seal_copy(hasher: AddressHasher, document: bytes) -> bytes:
    """Give all that was kept of an erased child, encrypted, for as long as a legal hold lasts."""
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(hasher.derived(_COPY)).encrypt(nonce, zlib.compress(document), None)


def unseal_copy(hasher: AddressHasher, sealed: bytes) -> bytes | None:
    """Give the copy again; None where the key is another one now."""
    try:
        packed = AESGCM(hasher.derived(_COPY)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except InvalidTag:
        return None
    return zlib.decompress(packed)
