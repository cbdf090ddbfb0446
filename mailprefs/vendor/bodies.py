"""A mailing as the JSON request of Mail Send v3: contract rules in, bytes out.

``request`` says what a request is, as plain objects. ``assemble`` makes the same request some ten
times faster, because a campaign makes one personalization per recipient: people whose tags and
headers have the same names share a pattern, and only their values are quoted. Whatever isn't
plainly in order leaves the fast path and is asked of ``preflight``, so each rule stands once.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring as quote
from typing import Any

from email_validator import EmailNotValidError, validate_email

from mailprefs import errors
from mailprefs.policy import MessageClass
from mailprefs.vendor import preflight
from mailprefs.vendor.message import Mailing, Personal
from mailprefs.vendor.preflight.addresses import ADDRESS, LONGEST_ADDRESS
from mailprefs.vendor.preflight.people import personalization as personalization_faults
from mailprefs.vendor.preflight.rules import MOST_BYTES, MOST_PEOPLE, Fault

Object = dict[str, Any]
ONE_CLICK = ("List-Unsubscribe", "List-Unsubscribe-Post")

# The vendor refuses a comma or a semicolon in a recipient's name, and with it the whole request.
_AWKWARD = re.compile(r"[,;\x00-\x1f\x7f]+")
# Switched off in every request, or the vendor rewrites our links and adds its own footer.
_UNTRACKED: Object = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


# Stands in for the people while the shared part is held against the rules.
_SOMEBODY: Object = {"to": [{"email": "somebody@example.com"}]}


@dataclass(frozen=True, slots=True)
class Assembled:
    """A request as bytes, and why some of its people must not stand in it (by position).

    With anybody in *refused* the bytes are not to be sent: the vendor would refuse them all.
    """

    content: bytes
    refused: dict[int, Fault]


def request(mailing: Mailing) -> Object:
    """Give the request of *mailing* as plain objects: the reference for ``assemble``."""
    people = [_personalization(mailing, person) for person in mailing.people]
    return {**_root(mailing), "personalizations": people}


def body(mailing: Mailing) -> bytes:
    """Give the request of *mailing* as JSON in UTF-8.

    :raises Preflight: where the vendor would refuse it, for everybody or because of one person.
    """
    assembled = assemble(mailing)
    for fault in assembled.refused.values():
        raise errors.Preflight(fault.sentence)
    return assembled.content


def assemble(mailing: Mailing) -> Assembled:
    """Make the request of *mailing*, and find who would have it refused.

    :raises Preflight: where the whole message breaks a rule, whoever its people are.
    """
    if not 0 < len(mailing.people) <= MOST_PEOPLE:
        raise errors.Preflight(
            f"personalizations: {len(mailing.people)} people, but a request takes 1 to"
            f" {MOST_PEOPLE}. Cut the mailing into batches."
        )
    root = _root(mailing)
    preflight.check({**root, "personalizations": [_SOMEBODY]})
    assembly = _Assembly(mailing, root)
    parts = list(assembly.parts())
    assembly.check_shapes()
    if assembly.refused:
        return Assembled(b"", assembly.refused)
    before = f'{_dumps(root)[:-1]},"personalizations":['.encode()
    return Assembled(b"".join((before, b",".join(parts), b"]}")), {})


def _root(mailing: Mailing) -> Object:
    """Give the part that all people share. No categories, no ``asm``, no root custom args."""
    sender: Object = {"email": mailing.from_address}
    if mailing.from_name:
        sender["name"] = mailing.from_name
    mail_settings: Object = {"footer": {"enable": False}}
    if mailing.message_class is MessageClass.ADMINISTRATIVE:
        # A stray unsubscribe on the vendor's own list must not stop administrative mail.
        mail_settings["bypass_unsubscribe_management"] = {"enable": True}
    root: Object = {
        "from": sender,
        "reply_to": {"email": mailing.reply_to},
        "subject": mailing.subject,
        "content": [
            {"type": "text/plain", "value": mailing.text},
            {"type": "text/html", "value": mailing.html},
        ],
        "tracking_settings": _UNTRACKED,
        "mail_settings": mail_settings,
    }
    if mailing.ip_pool is not None:
        root["ip_pool_name"] = mailing.ip_pool
    return root


def _personalization(mailing: Mailing, person: Personal) -> Object:
    """Give one person's part; custom args hold nothing that the vendor could know a person by."""
    recipient: Object = {"email": _ascii(person.address)}
    if name := _clean(person.name):
        recipient["name"] = name
    return {
        "to": [recipient],
        "substitutions": dict(person.substitutions),
        "headers": dict(person.headers),
        "custom_args": {
            "mp_delivery": str(person.delivery_id),
            "mp_campaign": str(mailing.campaign_id),
            "mp_class": mailing.message_class.value,
            "mp_attempt": mailing.attempt,
        },
    }


def _clean(name: str | None) -> str | None:
    if not name or not _AWKWARD.search(name):
        return name
    return " ".join(_AWKWARD.sub(" ", name).split())


def _ascii(address: str) -> str:
    """Give an address with an international domain in the form that every server reads."""
    if address.isascii():
        return address
    try:
        known = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return address
    return known.ascii_email or address


class _Shape:
    """What people share whose tags and headers have the same names: a pattern with holes."""

    def __init__(self, mailing: Mailing, person: Personal) -> None:
        _check_list_headers(mailing.message_class, person)
        self.exemplar: Personal | None = None
        self._pattern = _pattern(mailing, person)
        self._subject_tags = [tag for tag in person.substitutions if tag in mailing.subject]

    def fill(self, person: Personal) -> bytes:
        """Give the person's JSON, or nothing where the person must be looked at more closely."""
        address, name, substitutions, headers, delivery_id = person
        given = (address, name) if name else (address,)
        values = (*given, *substitutions.values(), *headers.values())
        if (
            "" in values
            or self._breaks(substitutions, headers)
            or (name and ("," in name or ";" in name or not name.isprintable()))
            or len(address) > LONGEST_ADDRESS
            or not ADDRESS.fullmatch(address)
        ):
            return b""
        part = self._pattern % (*map(quote, values), delivery_id)
        try:
            # Alone: put together first, one wide character would make all the others wide.
            encoded = part.encode()
        except UnicodeEncodeError:
            return b""
        return encoded if len(encoded) <= MOST_BYTES else b""

    def _breaks(self, substitutions: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        """Tell whether a break stands where a line must stay one line: a header, the subject."""
        lines = "".join(headers.values())
        if self._subject_tags:
            lines += "".join([substitutions[tag] for tag in self._subject_tags])
        return "\n" in lines or "\r" in lines or "\0" in lines


def _pattern(mailing: Mailing, person: Personal) -> str:
    """Give a person's JSON with a hole for each value of the person's own."""
    text, number = "\0", "\1"
    blank = Personal(
        address=text,
        name=None,
        substitutions=dict.fromkeys(person.substitutions, text),
        headers=dict.fromkeys(person.headers, text),
        delivery_id=0,
    )
    part = _personalization(mailing, blank)
    part["to"] = [{"email": text, "name": text} if person.name else {"email": text}]
    part["custom_args"]["mp_delivery"] = number
    pattern = _dumps(part).replace("%", "%%")
    return pattern.replace('"\\u0000"', "%s").replace('"\\u0001"', '"%d"')


def _check_list_headers(message_class: MessageClass, person: Personal) -> None:
    """Hold the headers against the class: the rule that keeps both classes apart at the door.

    :raises Preflight: if promotional mail lacks its way out (RFC 8058 section 3.1), or
        administrative mail pretends to have one.
    """
    names = {name.lower() for name in person.headers}
    one_click = [name.lower() in names for name in ONE_CLICK]
    if message_class.carries_unsubscribe and not all(one_click):
        raise errors.Preflight(
            "personalizations.headers: promotional mail leaves only with List-Unsubscribe and"
            " List-Unsubscribe-Post for everybody. Render it again with both."
        )
    if not message_class.carries_unsubscribe and any(one_click):
        raise errors.Preflight(
            "personalizations.headers: administrative mail can't be unsubscribed from, so it"
            " carries neither List-Unsubscribe nor List-Unsubscribe-Post. Take them out."
        )


def _repeated(people: Sequence[Personal]) -> Iterator[tuple[int, Fault]]:
    """Find who stands in the request for the second time, however the address is written."""
    addresses = [person.address for person in people]
    if not "".join(addresses).isascii():
        addresses = list(map(_ascii, addresses))
    lowered = list(map(str.lower, addresses))
    if len(set(lowered)) == len(people):
        return
    seen: set[str] = set()
    for position, address in enumerate(lowered):
        if address in seen:
            place = ("personalizations", position, "to", 0, "email")
            yield position, Fault(place, "this recipient stands there twice.")
        seen.add(address)


class _Assembly:
    """One pass over the people of a mailing."""

    def __init__(self, mailing: Mailing, root: Object) -> None:
        self.refused: dict[int, Fault] = {}
        self._mailing = mailing
        self._root = root
        self._shapes: dict[tuple[object, ...], _Shape] = {}

    def parts(self) -> Iterator[bytes]:
        """Give each person's JSON in order; those who can't stand there are put in ``refused``."""
        self.refused.update(_repeated(self._mailing.people))
        shapes, refused = self._shapes, self.refused
        for position, person in enumerate(self._mailing.people):
            names = (*person.substitutions, None, *person.headers, bool(person.name))
            shape = shapes.get(names)
            if shape is None:
                shape = shapes[names] = _Shape(self._mailing, person)
            if position in refused:
                continue
            part = shape.fill(person) or self._looked_at(position, person)
            if part:
                shape.exemplar = shape.exemplar or person
                yield part

    def check_shapes(self) -> None:
        """Hold one person of each shape against every rule, for what the shape shares.

        :raises Preflight: with the first broken rule.
        """
        for shape in self._shapes.values():
            if shape.exemplar is None:
                continue
            part = _personalization(self._mailing, shape.exemplar)
            place = ("personalizations",)
            for fault in personalization_faults(self._root, part, place, datetime.now(UTC)):
                raise errors.Preflight(fault.sentence)

    def _looked_at(self, position: int, person: Personal) -> bytes:
        """Give the JSON of a person who is unusual but in order, or put the reason down."""
        place = ("personalizations", position)
        part = _personalization(self._mailing, person)
        now = datetime.now(UTC)
        for fault in personalization_faults(self._root, part, place, now):
            self.refused[position] = fault
            return b""
        try:
            return _dumps(part).encode()
        except UnicodeEncodeError:
            self.refused[position] = Fault(place, "a value holds half of a character.")
            return b""


def _dumps(part: Object) -> str:
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"))
