"""Signed heads of the consent ledger: one line each, to be kept where no database admin comes.

A line is JSON with ``seq``, ``hash`` (of that entry, hexadecimal), ``at`` (when it was written, in
UTC) and ``signature``: keyed BLAKE2b of the other three as canonical JSON, by a key that is derived
from ``MAILPREFS_TOKEN_KEYS`` for this purpose alone. Whoever has the database but not the keys
can't make one. Whoever has both can write a whole new ledger with its heads: that is told only by a
line which is kept where they can't change it.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from mailprefs.consent.entries import Head
from mailprefs.errors import BadFile
from mailprefs.links.signing import PurposeSigner

_PURPOSE: Final = "mailprefs/ledger-head/v1"


class SignedHead(NamedTuple):
    """Where the ledger ended at an instant, and the signature of that."""

    head: Head
    at: datetime
    signature: str

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {**_signed(self.head, self.at), "signature": self.signature}

    def line(self) -> str:
        """Give it as one line, without its end."""
        return json.dumps(self.document(), sort_keys=True)


class Seal:
    """Signs heads, and knows its own again; older token keys verify, the newest one signs."""

    def __init__(self, token_keys: Sequence[bytes]) -> None:
        """Derive the keys of this purpose."""
        self._signer = PurposeSigner(_PURPOSE, token_keys)

    def sign(self, head: Head, at: datetime) -> SignedHead:
        """Give *head* as it stands *at* that instant, signed."""
        signature = self._signer.get_signature(_canonical(_signed(head, at)))
        return SignedHead(head, at, signature.decode())

    def read(self, lines: Iterable[str], *, where: str) -> list[Head]:
        """Give the heads of some lines, of which each has to be signed; empty lines are none.

        :raises BadFile: naming *where* and the first line that isn't a head of ours.
        """
        found = []
        for number, line in enumerate(lines, start=1):
            if line.strip():
                head = self._head(line)
                if head is None:
                    raise BadFile(
                        f"Line {number} of {where} is no head that this installation signed: it "
                        f"was changed or cut short, or its key is no longer in "
                        f"MAILPREFS_TOKEN_KEYS."
                    )
                found.append(head)
        return found

    def _head(self, line: str) -> Head | None:
        try:
            said = json.loads(line)
            signature = said.pop("signature")
            if not self._signer.verify_signature(_canonical(said), signature):
                return None
            return Head(said["seq"], bytes.fromhex(said["hash"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _signed(head: Head, at: datetime) -> dict[str, Any]:
    moment = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"seq": head.seq, "hash": head.entry_hash.hex(), "at": moment}


def _canonical(said: dict[str, Any]) -> bytes:
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
