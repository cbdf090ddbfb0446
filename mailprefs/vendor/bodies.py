"""A mailing as the JSON request of Mail Send v3: contract rules in, bytes out.

``request`` says what a request is, as plain objects. ``assemble`` makes the same request some ten
times faster, because a campaign makes one personalization per recipient: all share a pattern, and
only what differs between them is quoted, column by column. Whoever isn't plainly in order leaves
the fast path and is asked of ``preflight``, so each rule stands once.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
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
from mailprefs.vendor.preflight.rules import LINE_BREAK, MOST_BYTES, MOST_PEOPLE, Fault

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


# Stand in a pattern for a value, and for the delivery: no tag, header or value is just that.
_HOLE, _NUMBER = "\0", "\1"
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
    parts = assembly.parts()
    assembly.check_one()
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


class _Pattern:
    """The JSON of one person, with a hole for each value that isn't the same for all."""

    def __init__(self, mailing: Mailing) -> None:
        people = mailing.people
        columns = [*people.substitutions.values(), *people.headers.values()]
        shared = [_shared(column) for column in columns]
        named = [*people.substitutions, *people.headers]
        tags = len(people.substitutions)
        blank = Personal(
            address=_HOLE,
            name=None,
            substitutions=dict(zip(named[:tags], shared[:tags], strict=True)),
            headers=dict(zip(named[tags:], shared[tags:], strict=True)),
            delivery_id=0,
        )
        part = _personalization(mailing, blank)
        part["custom_args"]["mp_delivery"] = _NUMBER
        self._without_name = self._text(part)
        part["to"] = [{"email": _HOLE, "name": _HOLE}]
        self._with_name = self._text(part)
        own = [column for column, text in zip(columns, shared, strict=True) if text is _HOLE]
        quoted = [list(map(quote, column)) for column in own]
        self._own = list(zip(*quoted, strict=True)) if quoted else [()] * len(people)
        self._people = people

    def parts(self) -> Iterator[str]:
        """Give everybody's JSON, in order, each rule still to be asked."""
        people = self._people
        to = map(quote, people.addresses)
        rows = zip(to, people.names, self._own, people.delivery_ids, strict=True)
        for address, name, own, delivery_id in rows:
            if name:
                yield self._with_name % (address, quote(name), *own, delivery_id)
            else:
                yield self._without_name % (address, *own, delivery_id)

    @staticmethod
    def _text(part: Object) -> str:
        text = _dumps(part).replace("%", "%%")
        return text.replace(_dumps(_HOLE), "%s").replace(_dumps(_NUMBER), '"%d"')


def _shared(column: Sequence[str]) -> str:
    """Give the value that all of a column have, or a hole."""
    first = column[0]
    is_shared = column.count(first) == len(column) and first not in {_HOLE, _NUMBER}
    return first if is_shared else _HOLE


def _unusual(mailing: Mailing) -> set[int]:
    """Find who must be looked at more closely: whatever might break a rule, and some that don't."""
    people = mailing.people
    odd = {
        position
        for position, address in enumerate(people.addresses)
        if not ADDRESS.fullmatch(address) or len(address) > LONGEST_ADDRESS
    }
    names = "".join([name for name in people.names if name])
    if "," in names or ";" in names or not names.isprintable():
        odd |= {position for position, name in enumerate(people.names) if name and _is_odd(name)}
    in_subject = [column for tag, column in people.substitutions.items() if tag in mailing.subject]
    lines = [*people.headers.values(), *in_subject]
    for column in (*people.substitutions.values(), *people.headers.values()):
        if "" in column:
            odd |= {position for position, value in enumerate(column) if not value}
    for column in lines:
        joined = "".join(column)
        if "\n" in joined or "\r" in joined or "\0" in joined:
            odd |= {position for position, line in enumerate(column) if LINE_BREAK.search(line)}
    return odd


def _is_odd(name: str) -> bool:
    return "," in name or ";" in name or not name.isprintable()


def _check_list_headers(message_class: MessageClass, headers: Iterable[str]) -> None:
    """Hold the headers against the class: the rule that keeps both classes apart at the door.

    :raises Preflight: if promotional mail lacks its way out (RFC 8058 section 3.1), or
        administrative mail pretends to have one.
    """
    names = {name.lower() for name in headers}
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


def _repeated(addresses: Sequence[str]) -> Iterator[tuple[int, Fault]]:
    """Find who stands in the request for the second time, however the address is written."""
    if not "".join(addresses).isascii():
        addresses = list(map(_ascii, addresses))
    lowered = list(map(str.lower, addresses))
    if len(set(lowered)) == len(lowered):
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
        _check_list_headers(mailing.message_class, mailing.people.headers)
        self.refused: dict[int, Fault] = {}
        self._mailing = mailing
        self._root = root
        self._exemplar: Personal | None = None

    def parts(self) -> list[bytes]:
        """Give each person's JSON in order; those who can't stand there are put in ``refused``."""
        people = self._mailing.people
        self.refused.update(_repeated(people.addresses))
        odd = _unusual(self._mailing)
        parts = []
        for position, text in enumerate(_Pattern(self._mailing).parts()):
            if position in self.refused:
                continue
            part = b"" if position in odd else _encoded(text)
            part = part or self._looked_at(position, people[position])
            if part:
                self._exemplar = self._exemplar or people[position]
                parts.append(part)
        return parts

    def check_one(self) -> None:
        """Hold one person against every rule, for what all share.

        :raises Preflight: with the first broken rule.
        """
        if self._exemplar is None:
            return
        part = _personalization(self._mailing, self._exemplar)
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


def _encoded(text: str) -> bytes:
    """Give one person's JSON in UTF-8, or nothing where it must be looked at more closely.

    Each alone: put together first, one wide character would make all the others wide.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return b""
    return encoded if len(encoded) <= MOST_BYTES else b""


def _dumps(part: object) -> str:
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"))
