"""personalise(): one person's values for a content; render(): what then arrives in the mailbox.

``personalise`` works out all that doesn't depend on the person; what it gives then runs once for
each batch. A preview and a test send go through the same two functions with ``inert``
people: their links are signed for nobody (recipient 0, delivery 0), so whoever presses one changes
nothing, and they have no pixel, so nothing is counted.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, NamedTuple, Self, overload

from mailprefs.errors import BadInput
from mailprefs.links import MAILTO_MARK, Links
from mailprefs.policy import TrackingMode
from mailprefs.rendering.branches import tester, writer
from mailprefs.rendering.content import Content
from mailprefs.rendering.parts import Slot
from mailprefs.rendering.values import SHORT, clean, cleaned
from mailprefs.vendor.message import Mailing, People, Personal

NESTED: Final = 4
"""How deep the vendor replaces tags that stand in values."""

# The fields that everybody has, and the columns that they stand in.
_OWN: Final = {"first_name": "first_names", "last_name": "last_names", "email": "addresses"}
_BASE_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~/-]*)?")
_OWN_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$()*+,;=%&-]{1,180}")
_ATOMS = re.compile(r"[A-Za-z0-9 ]+")
_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")


class Person(NamedTuple):
    """One delivery's recipient, as the claim read it; *mode* is how far opens may be measured."""

    recipient_id: int
    address: str
    first_name: str
    last_name: str
    attributes: Mapping[str, str]
    language: str
    delivery_id: int
    mode: TrackingMode


@dataclass(frozen=True, slots=True, repr=False)
class Persons(Sequence[Person]):
    """The people of one batch, column by column, in the order of a person's fields.

    So the claim reads them and so their parts are made: a campaign has a million of them, of which
    nobody has to be put together and taken apart again.
    """

    recipient_ids: Sequence[int]
    addresses: Sequence[str]
    first_names: Sequence[str]
    last_names: Sequence[str]
    attributes: Sequence[Mapping[str, str]]
    languages: Sequence[str]
    delivery_ids: Sequence[int]
    modes: Sequence[TrackingMode]

    @classmethod
    def of(cls, people: Sequence[Person]) -> Self:
        """Give *people* as columns."""
        return cls(*(zip(*people, strict=True) if people else [()] * len(Person._fields)))

    def __len__(self) -> int:
        """Count the people."""
        return len(self.delivery_ids)

    @overload
    def __getitem__(self, position: int) -> Person: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Person]: ...
    def __getitem__(self, position: int | slice) -> Person | Sequence[Person]:
        """Give one person, or some."""
        if isinstance(position, slice):
            return [self[one] for one in range(*position.indices(len(self)))]
        return Person(
            self.recipient_ids[position],
            self.addresses[position],
            self.first_names[position],
            self.last_names[position],
            self.attributes[position],
            self.languages[position],
            self.delivery_ids[position],
            self.modes[position],
        )

    def raw(self, name: str) -> Iterable[str | None]:
        """Give what everybody has of a field, as it is stored."""
        own = _OWN.get(name)
        if own is not None:
            values: Sequence[str] = getattr(self, own)
            return values
        return (attributes.get(name) for attributes in self.attributes)

    def __repr__(self) -> str:
        """Say how many they are."""
        return f"Persons({len(self)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a campaign's messages come from: links, topic and sender.

    *base_url* is the sender's, without a slash at its end. *unsubscribe_mailbox* is an address that
    inbound mail to is read, or None where there is none.
    """

    links: Links
    base_url: str
    campaign_id: int
    topic_id: int
    topic_slug: str
    topic_name: str
    from_address: str
    from_name: str
    reply_to: str
    ip_pool: str | None = None
    unsubscribe_mailbox: str | None = None


class Rendered(NamedTuple):
    """One person's message as it arrives, to be shown or compared."""

    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


def personalise(content: Content, origin: Origin) -> "Personaliser":
    """Give what makes people's parts of a request; all that is the same for everybody is done here.

    Values are never empty, never hold the content's mark, a control character or a line break, and
    are cut at ``content.VALUE_BYTES``.

    :raises BadInput: if the origin's addresses can't stand in a message.
    """
    return Personaliser(content, origin)


def inert(person: Person) -> Person:
    """Give *person* for a preview or a test send: same words, links for nobody, no pixel."""
    return person._replace(recipient_id=0, delivery_id=0, mode=TrackingMode.OFF)


def missing(content: Content, person: Person) -> tuple[str, ...]:
    """List the required fields that *person* doesn't have, by name."""
    return tuple(name for name in content.required if not clean(_raw(person, name), content.mark))


def render(content: Content, personal: Personal) -> Rendered:
    """Give the message that the vendor makes of *content* and one person's part."""
    values = personal.substitutions
    return Rendered(
        substitute(content.subject, values),
        substitute(content.text, values),
        substitute(content.html, values),
        personal.headers,
    )


def substitute(body: str, values: Mapping[str, str]) -> str:
    """Replace tags by values as the vendor does: plain text, tags in values included."""
    for _ in range(NESTED):
        before = body
        for tag, value in values.items():
            body = body.replace(tag, value)
        if body == before:
            break
    return body


def preview(content: Content, origin: Origin, person: Person) -> Rendered:
    """Give the message that *person* would get, with inert links and without a pixel."""
    return render(content, personalise(content, origin)(inert(person)))


def mailing(content: Content, origin: Origin, people: People, *, attempt: str) -> Mailing:
    """Give the request that hands *people* over; *attempt* is the hand-over's id."""
    return Mailing(
        message_class=content.message_class,
        from_address=origin.from_address,
        from_name=origin.from_name,
        reply_to=origin.reply_to,
        subject=content.subject,
        text=content.text,
        html=content.html,
        ip_pool=origin.ip_pool,
        campaign_id=origin.campaign_id,
        attempt=attempt,
        people=people,
    )


def check_addresses(base_url: str, from_address: str) -> None:
    """Let a sender's base URL and From address pass that every message can carry.

    :raises BadInput: for one that can't stand in links or headers.
    """
    if not _BASE_URL.fullmatch(base_url) or len(base_url) > 120:
        raise BadInput(
            "The sender's base URL can't stand in a message; it is http:// or https://, a host and "
            "at most a path, 120 characters in all."
        )
    if not _DOMAIN.fullmatch(from_address.rpartition("@")[2]):
        raise BadInput("The sender's address has a domain that can't stand in a header.")


class Personaliser:
    """What makes people's parts of a request, a batch at a time: one column for each tag."""

    def __init__(self, content: Content, origin: Origin) -> None:
        """Work out all that is the same for everybody; ``personalise`` says what may be raised."""
        _check_origin(origin)
        self._links = origin.links
        self._base = origin.base_url
        self._topic_id = origin.topic_id
        self._mark = content.mark
        self._slots = tuple(map(_recipe, content.slots))
        self._conditionals = tuple(
            (one.tag, one.is_html, one.name, tester(one), writer(one.then), writer(one.otherwise))
            for one in content.conditionals
        )
        self._pixel_tag = content.pixel_tag
        self._promotional = content.message_class.carries_unsubscribe
        names = [slot.name for slot in content.slots if not slot.is_link]
        names += [one.name for one in content.conditionals]
        self._names = tuple(dict.fromkeys(names))
        self._loads = _pixel(self._base + origin.links.loads_path(origin.campaign_id))
        self._list_id = _list_id(origin)
        box = origin.unsubscribe_mailbox
        self._mailto = f", <mailto:{box}?subject={MAILTO_MARK}" if box else ""

    def __call__(self, person: Person) -> Personal:
        """Give one person's part of a request."""
        return self.batch([person])[0]

    def batch(self, people: Sequence[Person]) -> People:
        """Give everybody's part of one request, in order; *people* is not empty."""
        if not isinstance(people, Persons):
            people = Persons.of(people)
        base, links = self._base, self._links
        recipients, deliveries = people.recipient_ids, people.delivery_ids
        urls = {"preferences_url": links.preferences_urls(base, recipients, deliveries)}
        headers: Mapping[str, Sequence[str]] = {}
        if self._promotional:
            leaving = links.unsubscribe_urls(base, recipients, self._topic_id, deliveries)
            urls["unsubscribe_url"] = leaving
            headers = self._headers(leaving)
        names = list(map(_display_name, people.first_names, people.last_names))
        columns = self._columns(people, urls)
        return People(people.addresses, names, deliveries, columns, headers)

    def _columns(self, people: Persons, urls: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Give everybody's value of every tag that the bodies hold."""
        known = self._known(people)
        columns: dict[str, list[str]] = {}
        plain: list[list[str]] = []
        shown: list[list[str]] = []
        for name, fallback, text_tag, html_tag in self._slots:
            if fallback is None:
                values = escaped = urls.get(name) or [
                    _own_url(url, name) for url in people.raw(name)
                ]
            else:
                values = [pair[0] if pair else fallback[0] for pair in known[name]]
                escaped = [pair[1] if pair else fallback[1] for pair in known[name]]
            plain.append(values)
            shown.append(escaped)
            if text_tag:
                columns[text_tag] = values
            if html_tag:
                columns[html_tag] = escaped
        for tag, is_html, name, holds, then, otherwise in self._conditionals:
            rows = list(zip(*(shown if is_html else plain), strict=True)) or [()] * len(people)
            columns[tag] = [
                (then if holds(pair) else otherwise)(row)
                for pair, row in zip(known[name], rows, strict=True)
            ]
        if self._pixel_tag:
            columns[self._pixel_tag] = self._pixels(people)
        return columns

    def _known(self, people: Persons) -> dict[str, list[tuple[str, str] | None]]:
        """Give what everybody has of each field, plain and escaped; None for nothing."""
        mark = self._mark
        return {
            name: [
                (raw, raw)
                if raw and raw.isalnum() and len(raw) <= SHORT and mark not in raw
                else cleaned(raw, mark)
                for raw in people.raw(name)
            ]
            for name in self._names
        }

    def _pixels(self, people: Persons) -> list[str]:
        """Give everybody's pixel: one of their own, one for all, or a space."""
        individual = TrackingMode.INDIVIDUAL
        modes = people.modes
        one_by_one = [
            delivery_id
            for delivery_id, mode in zip(people.delivery_ids, modes, strict=True)
            if mode is individual
        ]
        urls = iter(self._links.open_urls(self._base, one_by_one))
        of_others = {TrackingMode.AGGREGATE: self._loads, TrackingMode.OFF: " "}
        return [_pixel(next(urls)) if mode is individual else of_others[mode] for mode in modes]

    def _headers(self, urls: Sequence[str]) -> dict[str, Sequence[str]]:
        """Give the headers of RFC 8058 and RFC 2919; each one line, as folding breaks DKIM."""
        mailto = self._mailto
        where = [f"<{url}>" for url in urls]
        if mailto:
            where = [f"<{url}>{mailto}{url.rpartition('/')[2]}>" for url in urls]
        return {
            "List-Unsubscribe": where,
            "List-Unsubscribe-Post": ["List-Unsubscribe=One-Click"] * len(urls),
            "List-Id": [self._list_id] * len(urls),
        }


def _raw(person: Person, name: str) -> str:
    return next(iter(Persons.of([person]).raw(name))) or ""


def _recipe(slot: Slot) -> tuple[str, tuple[str, str] | None, str, str]:
    """Give a slot's name, its fallback plain and escaped (None for a link), and its tags."""
    fallback = slot.fallback or " "
    pair = None if slot.is_link else (fallback, escape(fallback))
    return slot.name, pair, slot.text_tag, slot.html_tag


def _own_url(url: str | None, name: str) -> str:
    """Give an address that a system mail brings along for a person, if it is one."""
    if url is None or not _OWN_URL.fullmatch(url):
        raise BadInput(f"The message's {name} is no address that can stand in a link.")
    return url


def _pixel(url: str) -> str:
    return f'<img src="{url}" width="1" height="1" alt="">'


def _display_name(first: str, last: str) -> str | None:
    """Give the name beside the address; what a vendor can't take in one is for its adapter."""
    if first.isalnum() and last.isalnum() and len(first) + len(last) < SHORT:
        return f"{first} {last}"
    return clean(f"{first} {last}", "\0") or None


def _list_id(origin: Origin) -> str:
    """Name the list as RFC 2919 asks, in ASCII, so that no header needs encoding."""
    ascii_name = unicodedata.normalize("NFKD", origin.topic_name).encode("ascii", "ignore").decode()
    phrase = " ".join(re.sub(r"[^ -~]|[\"\\<>]", " ", ascii_name).split())[:100]
    if phrase and not _ATOMS.fullmatch(phrase):
        phrase = f'"{phrase}"'
    label = re.sub(r"[^a-z0-9-]+", "-", origin.topic_slug.lower()).strip("-") or "list"
    domain = origin.from_address.rpartition("@")[2]
    return f"{phrase} <{label}.{domain}>".strip()


def _check_origin(origin: Origin) -> None:
    check_addresses(origin.base_url, origin.from_address)
    box = origin.unsubscribe_mailbox
    if box is not None and not re.fullmatch(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+", box):
        raise BadInput("The unsubscribe mailbox can't stand in a header; it is a plain address.")
