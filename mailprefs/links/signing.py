"""One signer for each purpose of a public link.

A token is ``<payload>.<signature>``, both base64url without padding. The signature is keyed BLAKE2b
cut by design to 96 bits (RFC 7693 section 2.5: the digest length is a parameter, not a
truncation): guessing one online takes 2 to the 95 requests on average.
"""

import hmac
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from itsdangerous import Signer
from itsdangerous.encoding import want_bytes
from itsdangerous.signer import SigningAlgorithm

SIGNATURE_BYTES: Final = 12
SIGNATURE_LENGTH: Final = 16
"""Characters of a signature in a token: 12 bytes need no padding, so each has exactly one text."""

TO_URL = bytes.maketrans(b"+/", b"-_")
FROM_URL = bytes.maketrans(b"-_", b"+/")
_PADDING = (b"", b"===", b"==", b"=")


class KeyedBlake2b(SigningAlgorithm):
    """Sign with keyed BLAKE2b, 96 bits.

    The hash object of each key is keyed once and copied for every signature: keying costs a whole
    compression of 128 bytes, more than the signature of a token itself.
    """

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Key one hash object for each of *keys* (at most 64 bytes each, RFC 7693)."""
        self._keyed = {key: blake2b(key=key, digest_size=SIGNATURE_BYTES) for key in keys}

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """Give the 12 bytes that sign *value* under *key*, one of the keys given at the start."""
        mac = self._keyed[key].copy()
        mac.update(value)
        return mac.digest()


class PurposeSigner(Signer):
    """itsdangerous' Signer for one purpose: same tokens, half the time, one text a signature.

    Signer decodes the signature and is lenient there: it skips foreign characters and padding, so
    that several texts verify. Here the *text* is compared, in constant time, and only the canonical
    one is good.
    """

    def __init__(self, purpose: str, secrets: Sequence[bytes]) -> None:
        """Derive this purpose's key from each secret (oldest first; the last one signs)."""
        keys = [hmac.digest(secret, purpose.encode(), "sha256") for secret in secrets]
        super().__init__(keys, salt=purpose, key_derivation="none", algorithm=KeyedBlake2b(keys))
        self._newest_first = [
            blake2b(key=key, digest_size=SIGNATURE_BYTES) for key in reversed(keys)
        ]
        # Each gives a hash that a key has keyed, the newest first.
        self.copies = tuple(keyed.copy for keyed in self._newest_first)

    def get_signature(self, value: str | bytes) -> bytes:
        """Give the signature of *value* by the newest key, as 16 characters of base64url."""
        mac = self._newest_first[0].copy()
        mac.update(want_bytes(value))
        return b2a_base64(mac.digest(), newline=False).translate(TO_URL)

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        """Tell whether any key signed *value* so; the newest is tried first."""
        return self._is_signed(want_bytes(value), want_bytes(sig))

    def _is_signed(self, value: bytes, signature: bytes) -> bool:
        for copy in self.copies:
            mac = copy()
            mac.update(value)
            expected = b2a_base64(mac.digest(), newline=False).translate(TO_URL)
            if hmac.compare_digest(expected, signature):
                return True
        return False

    def token(self, payload: bytes) -> str:
        """Make the token of *payload*: what ``sign`` gives for its base64url text."""
        text = b2a_base64(payload, newline=False).translate(TO_URL).rstrip(b"=")
        mac = self._newest_first[0].copy()
        mac.update(text)
        signature = b2a_base64(mac.digest(), newline=False).translate(TO_URL)
        return f"{text.decode()}.{signature.decode()}"

    def tokens(self, payloads: Sequence[bytes], *, before: str = "", after: str = "") -> list[str]:
        """Make the tokens of some payloads of one length, each between two texts.

        The same as ``token`` of each, in half the time.
        """
        if not payloads:
            return []
        size = len(payloads[0])
        filling = bytes(-size % 3)
        # In base64 three bytes are four characters, so each payload, filled up, begins anew.
        raw = b2a_base64(filling.join(payloads) + filling, newline=False).translate(TO_URL)
        width, kept = 4 * (size + len(filling)) // 3, -(-size * 4 // 3)
        starts = range(0, len(raw), width)
        copy = self._newest_first[0].copy
        digests = []
        for start in starts:
            mac = copy()
            mac.update(raw[start : start + kept])
            digests.append(mac.digest())
        signed = b2a_base64(b"".join(digests), newline=False).translate(TO_URL).decode()
        text = raw.decode()
        length = SIGNATURE_LENGTH
        return [
            f"{before}{text[start : start + kept]}.{signed[at : at + length]}{after}"
            for start, at in zip(starts, range(0, len(signed), length), strict=True)
        ]

    def payload(self, token: str) -> bytes | None:
        """Give the payload of a token in its exact form, or None if no key of ours signed it."""
        try:
            raw = token.encode("ascii")
        except UnicodeEncodeError:
            return None
        text, dot, signature = raw.partition(b".")
        if not dot or not self._is_signed(text, signature):
            return None
        # Only we sign, and only base64url: what verified can be decoded.
        return a2b_base64(text.translate(FROM_URL) + _PADDING[len(text) % 4])
