"""Events as the vendor tells them: their fields, their line ends, their signature.

Address, IP address and the foreign server's answer are there as in life, so that what the service
must not keep has really been in its hands.
"""

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailprefs import errors
from mailprefs.sandbox.records import Copy

LARGEST_BATCH = 768_000
"""Bytes of one post, as the vendor's."""
MOST_EVENTS = 1_000

Event = dict[str, object]


class SigningKey:
    """The key that signs the events: made when there is none, kept in *path* where one is given.

    :raises BadSetting: if the file is there and isn't such a key.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None or not path.exists():
            self._private = ec.generate_private_key(ec.SECP256R1())
            if path is not None:
                _save(self._private, path)
            return
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise errors.BadSetting(
                "The sandbox's key file holds no private key of the kind that signs events. Delete"
                " it, and a new one is made."
            )
        self._private = private

    @property
    def public(self) -> str:
        """The verification key as the vendor shows it: base64 of DER, on one line."""
        der = self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode()

    def sign(self, timestamp: str, body: bytes) -> str:
        """Sign a request: its timestamp, directly followed by its bytes."""
        signature = self._private.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(signature).decode()


def _save(private: ec.EllipticCurvePrivateKey, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def event(copy: Copy, word: str, moment: int, more: Mapping[str, object]) -> Event:
    """Make one event as the vendor does: the person's address, and our custom args flat beside."""
    told: Event = {
        "email": copy.email,
        "timestamp": moment,
        "smtp-id": f"<{copy.message_id}@geopod-ismtpd-sandbox>",
        "event": word,
        "sg_event_id": secrets.token_urlsafe(16),
        "sg_message_id": f"{copy.message_id}.recvd-sandbox-5d9c.{copy.id}.0",
    }
    if word == "delivered":
        told["response"] = f"250 2.0.0 OK {moment} sandbox for {copy.email} - mxs"
        told["ip"] = "192.0.2.25"
        told["tls"] = 1
    return {**copy.custom_args, **told, **more}


def encode(events: list[Event]) -> bytes:
    """Write events as the vendor does: a line for each, and CRLF at the end of each line."""
    return ("[" + ",\r\n".join(json.dumps(one) for one in events) + "]\r\n").encode()


def batches(events: list[Event]) -> Iterator[bytes]:
    """Cut events into posts that are neither too long nor too large."""
    part: list[Event] = []
    size = 0
    for one in events:
        length = len(json.dumps(one)) + 3
        if part and (len(part) == MOST_EVENTS or size + length > LARGEST_BATCH):
            yield encode(part)
            part, size = [], 0
        part.append(one)
        size += length
    if part:
        yield encode(part)
