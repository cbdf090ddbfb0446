"""Addresses: one normal form, one identity, one keyed hash, one mask. Pure: nothing is looked up.

Two texts are one person's address if their ``key`` is the same. What is written to the vendor is
``address``, whose local part stays as the person wrote it, because only their own mail server may
say that case doesn't matter (RFC 5321 section 2.4).
"""

import hmac
import re
import unicodedata
from hashlib import blake2b
from typing import Final, NamedTuple

from email_validator import EmailNotValidError, validate_email

from mailprefs import keys
from mailprefs.errors import BadAddress, BadSetting
from mailprefs.languages import gettext_noop

LONGEST: Final = 320
"""Characters that the vendor takes; RFC 5321 section 4.5.3.1.3 leaves 254 of them."""
LONGEST_LOCAL: Final = 64
"""Octets before the @-sign (RFC 5321 section 4.5.3.1.1)."""
HASH_BYTES: Final = 16

_LONGEST_ADDRESS = 254
_SETTING = "MAILPREFS_ADDRESS_KEY"

# Plain addresses, nearly all of an import, told without email-validator at a twentieth of its
# time. Deliberately narrower than the standard: whatever doesn't match is asked of email-validator,
# and a property test shows that whatever matches is also accepted there, to the same form. Left
# out are Punycode and other labels with two hyphens in place 3, top-level domains that aren't
# letters, and names that can't be mailed to. Only sets of characters are possessive: Python before
# 3.11.5 loses matches in possessive groups.
_ATOM = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]++"
_LABEL = r"(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(
    rf"(?=[^@]{{1,{LONGEST_LOCAL}}}@){_ATOM}(?:\.{_ATOM})*"
    rf"@(?:{_LABEL}\.)+(?!(?i:arpa|local|localhost|onion)\Z)[A-Za-z]{{2,63}}+"
)

# Names set apart for documentation and tests (RFC 2606 section 2) are where demo, tests and
# sandbox live, and can reach nobody by mistake. email-validator refuses two of them; it is asked
# about a name of the same length instead, rather than changing its module-wide list, which the
# sign-in of staff reads too.
_RESERVED = {"test": "info", "invalid": "example"}

# Characters that show nothing and are neither white space nor of a format category: fillers,
# joiners, variation selectors (Unicode's Default_Ignorable_Code_Point) and the empty Braille cell.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
)
# Control, format, and the separators of lines and paragraphs.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})
_DOT = re.compile("[.\u3002\uff0e\uff61]")
_BAD_DOTS = re.compile(r"^\.|\.$|\.\.|\.@|@\.")
_UNREACHABLE_NAME = re.compile(r"\.(?:arpa|local|localhost|onion)\Z", re.IGNORECASE)


class Address(NamedTuple):
    """An address as it is delivered to, and the text that says whether two are the same person's.

    ``address``: local part as given (NFC), domain lower-case and in ASCII (IDNA).
    ``key``: local part case-folded and NFKC, then the same domain. Plus tags and dots stay: whoever
    uses them means different mailboxes.
    """

    address: str
    key: str


def normalise(text: str) -> Address:
    """Give the normal form of an address, or errors.BadAddress with a reason.

    White space and invisible characters are taken off the ends; inside they are refused by name.
    The reason is a sentence that never shows the text itself.
    """
    if len(text) <= _LONGEST_ADDRESS and _PLAIN.fullmatch(text):
        return _plain(text)
    # Enough for any address and the blanks around it; the rest could only make the check slow.
    if len(text) > 4 * LONGEST:
        raise BadAddress(_TOO_LONG)
    stripped = _strip(text)
    if len(stripped) <= _LONGEST_ADDRESS and _PLAIN.fullmatch(stripped):
        return _plain(stripped)
    return _asked(stripped)


def mask(address: str) -> str:
    """Give an address as it may be shown to somebody who may not be its owner: ``j***@e***.com``.

    The number of stars says nothing about the length.
    """
    local, at, domain = address.rpartition("@")
    name, dot, top = domain.rpartition(".")
    if not (local and at and name and dot):
        return "***"
    # The first letters of a Punycode label are its mark, not the person's.
    first = "" if name.startswith("xn--") else name[0]
    return f"{local[0]}***@{first}***.{top}"


class AddressHasher:
    """Hashes address keys under one secret, for suppression and for matching without an address.

    Keyed BLAKE2b of 128 bits (RFC 7693), the hash object keyed once and copied. With a thousand
    million addresses on file the odds that any two share a hash are about 1 in 10 to the 21, so a
    join on the hash alone is safe; without the key nobody can try addresses out. The key is apart
    from the links' keys and outside the database.
    """

    def __init__(self, key: bytes, key_id: int) -> None:
        """Take a secret of 32 bytes or more, and the number under which its hashes are stored."""
        if len(key) < keys.KEY_BYTES:
            raise BadSetting(
                f"{_SETTING} needs {keys.KEY_BYTES} bytes or more; run: mailprefs init."
            )
        self.key_id = key_id
        self._key = key
        derived = self.derived("mailprefs/address/v1")
        self._keyed = blake2b(key=derived, digest_size=HASH_BYTES)

    def derived(self, purpose: str) -> bytes:
        """Give the key of 32 bytes that the secret has for one purpose; it is good for no other."""
        return hmac.digest(self._key, purpose.encode(), "sha256")

    def hash(self, key_text: str) -> bytes:
        """Give the 16 bytes that stand for ``Address.key``."""
        keyed = self._keyed.copy()
        keyed.update(key_text.encode())
        return keyed.digest()


def parse_key(text: str) -> bytes:
    """Read MAILPREFS_ADDRESS_KEY, base64url or hex; errors.BadSetting says what is wrong with it.

    There is one, and it stays: hashes of people whose address is erased can't be made again.
    """
    return keys.parse_one(text, setting=_SETTING)


_EMPTY = gettext_noop("There is no address here; give one like name@example.com.")
_NO_AT = gettext_noop(
    "An address has an @-sign between the name and the domain; there is none here."
)
_TWO_ATS = gettext_noop(
    "An address has one @-sign, and there is more than one here; give a single address."
)
_NO_LOCAL = gettext_noop("There is nothing before the @-sign of this address.")
_NO_DOMAIN = gettext_noop("There is nothing after the @-sign of this address.")
_DISPLAY = gettext_noop("Give the address alone, without a name or angle brackets around it.")
_QUOTED = gettext_noop(
    "Addresses with quotation marks before the @-sign are not supported; use another one."
)
_LITERAL = gettext_noop(
    "Addresses at an IP number are not supported; the part after @ must be a domain."
)
_SPACE = gettext_noop("There is a space inside this address; remove it, or give a single address.")
_TOO_LONG = (
    f"This address is too long: at most {_LONGEST_ADDRESS} characters, "
    f"{LONGEST_LOCAL} of them before the @-sign, can be delivered to."
)
_DOTS = gettext_noop(
    "This address has a dot at an end of a part, or two dots in a row; check for a typing error."
)
_DOTLESS = gettext_noop(
    "The part after the @-sign has no dot, so it is not a full domain; check its ending."
)
_UNREACHABLE = gettext_noop(
    "The domain of this address exists only inside a network; no mail can reach it."
)
_OTHERWISE = gettext_noop(
    "This is not an address that mail can be delivered to; check it for characters that "
    "don't belong there."
)


def _plain(text: str) -> Address:
    lowered = text.lower()
    if lowered == text:
        return Address(text, text)
    local, _, domain = text.rpartition("@")
    return Address(f"{local}@{domain.lower()}", lowered)


def _strip(text: str) -> str:
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_blank(character: str) -> bool:
    return (
        character.isspace() or character in _INVISIBLE or unicodedata.category(character) in _UNSEEN
    )


def _asked(text: str) -> Address:
    """Give what email-validator makes of *text*, or raise errors.BadAddress."""
    local, _, domain = text.rpartition("@")
    name, dot, top = domain.rpartition(".")
    stand_in = _RESERVED.get(top.lower())
    reason = _reason(text, local, domain)
    if reason is None:
        try:
            found = validate_email(
                f"{local}@{name}{dot}{stand_in or top}", check_deliverability=False, strict=True
            )
        except EmailNotValidError as error:
            reason = _TOO_LONG if "too long" in str(error) else _OTHERWISE
        else:
            ascii_domain = found.ascii_domain
            if stand_in:
                ascii_domain = ascii_domain.removesuffix(stand_in) + top.lower()
            local = unicodedata.normalize("NFC", local)
            return Address(f"{local}@{ascii_domain}", f"{_folded(local)}@{ascii_domain}")
    # Outside the handler, so that email-validator's error, which shows parts of the text, isn't
    # chained to ours.
    raise BadAddress(reason)


def _reason(text: str, local: str, domain: str) -> str | None:
    """Say what is wrong with an address, where that is plain to see; None where it isn't."""
    unseen = next((one for one in text if one != " " and _is_blank(one)), None)
    if unseen is not None:
        name = unicodedata.name(unseen, "control character")
        return (
            f"There is an invisible character inside this address "
            f"({name}, U+{ord(unseen):04X}); remove it."
        )
    octets = len(text.encode("utf-8", "replace"))
    checks = (
        (not text, _EMPTY),
        ("<" in text or ">" in text, _DISPLAY),
        ('"' in text, _QUOTED),
        (" " in text, _SPACE),
        ("@" not in text, _NO_AT),
        ("@" in local, _TWO_ATS),
        (not local, _NO_LOCAL),
        (not domain, _NO_DOMAIN),
        (octets > _LONGEST_ADDRESS, _TOO_LONG),
        (len(local.encode("utf-8", "replace")) > LONGEST_LOCAL, _TOO_LONG),
        (domain.startswith("["), _LITERAL),
        (_BAD_DOTS.search(text) is not None, _DOTS),
        (_DOT.search(domain) is None, _DOTLESS),
        (_UNREACHABLE_NAME.search(domain) is not None, _UNREACHABLE),
    )
    return next((sentence for is_broken, sentence in checks if is_broken), None)


def _folded(local: str) -> str:
    """Give the local part as identity: what looks the same is the same (UTS 39 section 3.3)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local).casefold())
