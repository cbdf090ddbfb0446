"""Every public URL: the one place where they are made and read.

A path is a prefix and a token. The token holds ids only, never a person's address or name, and is
signed for one purpose: the pixel's token does nothing at the unsubscribe page. Unsubscribe and
preferences links never expire and need no lookup to be read, so they work for ever, also when
the delivery they came with is long deleted. A confirmation link says itself until when it is good;
of a link by which somebody gets all their data or erases it, and of a sign-in, the store knows.

Never use the *text* of a token to tell two requests apart: mail clients change it on the way, and
what is read from many texts is one link. The ids are what counts.

=============  =======================================  ========  ==================
purpose        payload: a format byte, then big-endian  payload   token, characters
=============  =======================================  ========  ==================
open           1, delivery (64 bit)                     9 bytes   29
open           2, campaign (64 bit)                     9 bytes   29
unsubscribe    1, recipient 32, topic 16, delivery 64   15 bytes  37
unsubscribe    2, recipient 64, topic 64, delivery 64   25 bytes  51
preferences    1, recipient 32, delivery 64             13 bytes  35
preferences    2, recipient 64, delivery 64             17 bytes  40
confirm        1, recipient 64, last second 32          13 bytes  35
export         1, random number (128 bit)               17 bytes  40
erase          1, random number (128 bit)               17 bytes  40
sign-in        1, random number (128 bit)               17 bytes  40
=============  =======================================  ========  ==================

The wide forms are made only for ids that don't fit in the narrow ones.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from hmac import compare_digest
from itertools import islice
from struct import Struct
from struct import error as DoesNotFit  # noqa: N812 - the name says what it means here
from typing import Any, Final, NamedTuple

from mailprefs import keys
from mailprefs.errors import BadSetting, BadToken
from mailprefs.links.repair import readings
from mailprefs.links.signing import FROM_URL, SIGNATURE_LENGTH, TO_URL, PurposeSigner
from mailprefs.policy import DataRequest

OPEN_PREFIX: Final = "/o/"
OPEN_SUFFIX: Final = ".gif"
UNSUBSCRIBE_PREFIX: Final = "/u/"
PREFERENCES_PREFIX: Final = "/p/"
CONFIRM_PREFIX: Final = "/c/"
REQUEST_PREFIXES: Final = {DataRequest.EXPORT: "/d/", DataRequest.ERASE: "/e/"}
SIGN_IN_PREFIX: Final = "/staff/sign-in/"
MAILTO_MARK: Final = "u-"
"""What stands before the token in the subject of a mail that says somebody leaves."""
NONCE_BYTES: Final = 16

_SETTING = "MAILPREFS_TOKEN_KEYS"
_NARROW, _WIDE = 1, 2
DELIVERY: Final = 1
"""The form of an open link that names a delivery; the other one names only a campaign."""
_CAMPAIGN = 2
_OPEN = Struct(">BQ")
_OPEN_PAYLOAD = 12
"""Characters of an open link's payload: nine bytes, so there is no filling to think of."""
_OPEN_LENGTH = _OPEN_PAYLOAD + 1 + SIGNATURE_LENGTH + len(OPEN_SUFFIX)
_UNSUBSCRIBE = {_NARROW: Struct(">BIHQ"), _WIDE: Struct(">BQQQ")}
_PREFERENCES = {_NARROW: Struct(">BIQ"), _WIDE: Struct(">BQQ")}
_CONFIRM = Struct(">BQI")
_REQUEST = Struct(f">B{NONCE_BYTES}s")
_SIGN_IN = Struct(f">B{NONCE_BYTES}s")

# The mark as it comes back: in capitals, with a hyphen of another kind, or still encoded.
_MARK = re.compile(r"(?<![A-Za-z0-9])[uU]\s?(?:[-\u2010\u2011\u2212\ufe63\uff0d]|%2[dD])")
_MOST_MARKS = 20

_DAMAGED = (
    "This link is damaged or not one of ours; open it from the original message, "
    "or ask for a new link."
)


class OpenLink(NamedTuple):
    """What a pixel names: one delivery, or, where nobody is to be told apart, its campaign."""

    campaign_id: int
    delivery_id: int | None

    @property
    def is_aggregate(self) -> bool:
        """Tell whether the pixel only counts loads of the campaign and names no delivery."""
        return self.delivery_id is None


class UnsubscribeLink(NamedTuple):
    """Who may leave what by this link, and which message carried it."""

    recipient_id: int
    topic_id: int
    delivery_id: int


class PreferencesLink(NamedTuple):
    """Whose preferences this link opens, and which message carried it (0 for none)."""

    recipient_id: int
    delivery_id: int


class ConfirmLink(NamedTuple):
    """Who confirms by this link that they want what waits for them, and the second it ends in.

    ``until`` is in seconds since 1970.
    """

    recipient_id: int
    until: int


class SignInLink(NamedTuple):
    """The random number of a one-time sign-in of staff; the store knows whose, and until when."""

    nonce: bytes


class _Purpose:
    """A signer, and the payload forms that it may carry."""

    __slots__ = ("_exact", "_lengths", "_shapes", "_signer", "copy", "token", "tokens")

    def __init__(self, name: str, shapes: dict[int, Struct], secrets: Sequence[bytes]) -> None:
        self._signer = PurposeSigner(name, secrets)
        self._shapes = shapes
        self._lengths = tuple(sorted({-(-shape.size * 4 // 3) for shape in shapes.values()}))
        self._exact = frozenset(length + 1 + SIGNATURE_LENGTH for length in self._lengths)
        self.copy = self._signer.copies[0]
        self.token = self._signer.token
        self.tokens = self._signer.tokens

    def fields(self, text: object) -> tuple[Any, ...]:
        """Give the format byte and the fields of a token, or raise errors.BadToken."""
        payload = None
        # The usual case first: the path came back exactly as it was sent.
        if type(text) is str and len(text) in self._exact:
            payload = self._signer.payload(text)
        if payload is None:
            found = map(self._signer.payload, readings(text, self._lengths))
            payload = next((one for one in found if one is not None), None)
        if payload is None:
            raise BadToken(_DAMAGED)
        shape = self._shapes.get(payload[0])
        if shape is None or shape.size != len(payload):
            # Signed by us, in a form of another release.
            raise BadToken(_DAMAGED)
        return shape.unpack(payload)


class Links:
    """Makes and reads every public path. Give it the secrets once; it is safe in all threads."""

    def __init__(self, secrets: Sequence[bytes], *, mailbox: str | None = None) -> None:
        """Derive the keys of all purposes from *secrets*, oldest first.

        *mailbox* is the address at which inbound mail is read, if there is one.
        The last one signs, all of them verify: to rotate, add a new one at the end and keep the old
        ones for as long as links made with them are to work. errors.BadSetting if there is none or
        one has fewer than 32 bytes; parse_keys also refuses what can be guessed.
        """
        if not secrets or min(map(len, secrets)) < keys.KEY_BYTES:
            raise BadSetting(
                f"{_SETTING} needs at least one key, each of {keys.KEY_BYTES} bytes or more; "
                "run: mailprefs init."
            )
        self.mailbox = mailbox or None
        opens = {DELIVERY: _OPEN, _CAMPAIGN: _OPEN}
        self._open = _Purpose("mailprefs/open/v1", opens, secrets)
        self._unsubscribe = _Purpose("mailprefs/unsubscribe/v1", _UNSUBSCRIBE, secrets)
        self._preferences = _Purpose("mailprefs/preferences/v1", _PREFERENCES, secrets)
        self._confirm = _Purpose("mailprefs/confirm/v1", {_NARROW: _CONFIRM}, secrets)
        self._requests = {
            kind: _Purpose(f"mailprefs/{kind.value}/v1", {_NARROW: _REQUEST}, secrets)
            for kind in DataRequest
        }
        self._sign_in = _Purpose("mailprefs/sign-in/v1", {_NARROW: _SIGN_IN}, secrets)

    def open_path(self, delivery_id: int) -> str:
        """Give the path of the pixel that measures one delivery."""
        return f"{OPEN_PREFIX}{self._open.token(_OPEN.pack(DELIVERY, delivery_id))}{OPEN_SUFFIX}"

    def loads_path(self, campaign_id: int) -> str:
        """Give the path of the pixel that everybody measured only in aggregate gets."""
        return f"{OPEN_PREFIX}{self._open.token(_OPEN.pack(_CAMPAIGN, campaign_id))}{OPEN_SUFFIX}"

    def unsubscribe_path(self, recipient_id: int, topic_id: int, delivery_id: int) -> str:
        """Give the path for RFC 8058 headers and the visible link of one message."""
        try:
            payload = _UNSUBSCRIBE[_NARROW].pack(_NARROW, recipient_id, topic_id, delivery_id)
        except DoesNotFit:
            payload = _UNSUBSCRIBE[_WIDE].pack(_WIDE, recipient_id, topic_id, delivery_id)
        return UNSUBSCRIBE_PREFIX + self._unsubscribe.token(payload)

    def preferences_path(self, recipient_id: int, delivery_id: int = 0) -> str:
        """Give the path of a person's preference page; 0 where no delivery carries the link."""
        try:
            payload = _PREFERENCES[_NARROW].pack(_NARROW, recipient_id, delivery_id)
        except DoesNotFit:
            payload = _PREFERENCES[_WIDE].pack(_WIDE, recipient_id, delivery_id)
        return PREFERENCES_PREFIX + self._preferences.token(payload)

    def confirm_path(self, recipient_id: int, until: int) -> str:
        """Give the path by which a person confirms a sign-up, until a second since 1970."""
        return CONFIRM_PREFIX + self._confirm.token(_CONFIRM.pack(_NARROW, recipient_id, until))

    def request_path(self, kind: DataRequest, nonce: bytes) -> str:
        """Give the path by which a person gets or erases their data; *nonce* is 16 random bytes."""
        token = self._requests[kind].token(_REQUEST.pack(_NARROW, _whole(nonce)))
        return REQUEST_PREFIXES[kind] + token

    def open_urls(self, base_url: str, delivery_ids: Sequence[int]) -> list[str]:
        """Give the URL of ``open_path`` of each delivery, below *base_url*."""
        payloads = [_OPEN.pack(DELIVERY, one) for one in delivery_ids]
        return self._open.tokens(payloads, before=base_url + OPEN_PREFIX, after=OPEN_SUFFIX)

    def unsubscribe_urls(
        self,
        base_url: str,
        recipient_ids: Sequence[int],
        topic_id: int,
        delivery_ids: Sequence[int],
    ) -> list[str]:
        """Give the URL of ``unsubscribe_path`` of each recipient and delivery."""
        pack, pairs = _UNSUBSCRIBE[_NARROW].pack, zip(recipient_ids, delivery_ids, strict=True)
        try:
            payloads = [pack(_NARROW, recipient, topic_id, one) for recipient, one in pairs]
        except DoesNotFit:
            pairs = zip(recipient_ids, delivery_ids, strict=True)
            paths = [self.unsubscribe_path(recipient, topic_id, one) for recipient, one in pairs]
            return [base_url + path for path in paths]
        return self._unsubscribe.tokens(payloads, before=base_url + UNSUBSCRIBE_PREFIX)

    def preferences_urls(
        self, base_url: str, recipient_ids: Sequence[int], delivery_ids: Sequence[int]
    ) -> list[str]:
        """Give the URL of ``preferences_path`` of each recipient and delivery."""
        pack, pairs = _PREFERENCES[_NARROW].pack, zip(recipient_ids, delivery_ids, strict=True)
        try:
            payloads = [pack(_NARROW, recipient, one) for recipient, one in pairs]
        except DoesNotFit:
            pairs = zip(recipient_ids, delivery_ids, strict=True)
            return [base_url + self.preferences_path(recipient, one) for recipient, one in pairs]
        return self._preferences.tokens(payloads, before=base_url + PREFERENCES_PREFIX)

    def sign_in_path(self, nonce: bytes) -> str:
        """Give the path of a staff one-time sign-in; *nonce* is 16 random bytes, stored apart."""
        return SIGN_IN_PREFIX + self._sign_in.token(_SIGN_IN.pack(_NARROW, _whole(nonce)))

    def read_open(self, text: object) -> OpenLink:
        """Read what came after ``/o/`` (with ``.gif`` or without); errors.BadToken otherwise."""
        form, number = self.open_fields(text)
        if form == _CAMPAIGN:
            return OpenLink(number, None)
        return OpenLink(number >> 32, number)

    def open_reader(self) -> Callable[[str], tuple[int, int]]:
        """Give what reads as ``open_fields`` does, made to be called for each fetch of a pixel.

        A link as it was sent, signed by the newest key, is read on the spot; all others go the
        usual way.
        """
        copy, unpack, usual = self._open.copy, _OPEN.unpack, self.open_fields
        suffix = OPEN_SUFFIX.encode()

        def read(text: str) -> tuple[int, int]:
            if len(text) == _OPEN_LENGTH and text.isascii():
                coded, _, rest = text.encode().partition(b".")
                mac = copy()
                mac.update(coded)
                signature = b2a_base64(mac.digest(), newline=False).translate(TO_URL)
                if compare_digest(signature + suffix, rest):
                    form, number = unpack(a2b_base64(coded.translate(FROM_URL)))
                    return form, number
            return usual(text)

        return read

    def open_fields(self, text: object) -> tuple[int, int]:
        """Read as ``read_open`` does; give the form, DELIVERY or a campaign's, and the number."""
        if type(text) is str and text.endswith(OPEN_SUFFIX):
            text = text[: -len(OPEN_SUFFIX)]
        fields: tuple[int, int] = self._open.fields(text)
        return fields

    def read_unsubscribe(self, text: object) -> UnsubscribeLink:
        """Read what came after ``/u/``; errors.BadToken otherwise. It never expires."""
        return UnsubscribeLink(*self._unsubscribe.fields(text)[1:])

    def read_mailto(self, text: str) -> UnsubscribeLink:
        """Read the subject of a mail to our mailbox, or a line of it; errors.BadToken otherwise.

        Anything may stand around the token: "Re:", quotes, brackets, words.
        """
        for mark in islice(_MARK.finditer(text), _MOST_MARKS):
            try:
                return self.read_unsubscribe(text[mark.end() :])
            except BadToken:
                continue
        raise BadToken(_DAMAGED)

    def read_preferences(self, text: object) -> PreferencesLink:
        """Read what came after ``/p/``; errors.BadToken otherwise. It never expires."""
        return PreferencesLink(*self._preferences.fields(text)[1:])

    def read_confirm(self, text: object) -> ConfirmLink:
        """Read what came after ``/c/``; errors.BadToken otherwise. Whether it is over, ask it."""
        return ConfirmLink(*self._confirm.fields(text)[1:])

    def read_request(self, kind: DataRequest, text: object) -> bytes:
        """Read what came after the prefix of *kind*; errors.BadToken otherwise.

        Gives the random number; whether it is used up or too old, only the store knows.
        """
        nonce: bytes = self._requests[kind].fields(text)[1]
        return nonce

    def read_sign_in(self, text: object) -> SignInLink:
        """Read what came after ``/staff/sign-in/``; errors.BadToken otherwise.

        A good token was made by us; whether it is used up or too old, only the store knows.
        """
        return SignInLink(*self._sign_in.fields(text)[1:])


def _whole(nonce: bytes) -> bytes:
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a random number of a link has {NONCE_BYTES} bytes")
    return nonce


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Read MAILPREFS_TOKEN_KEYS: keys of 32 bytes or more, base64url or hex, comma between.

    Oldest first; the last one signs. errors.BadSetting says in a sentence which is weak, and why.
    """
    return keys.parse_list(text, setting=_SETTING)


def new_key() -> str:
    """Give a fresh key as text for MAILPREFS_TOKEN_KEYS."""
    return keys.new_key()
