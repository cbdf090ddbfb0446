"""The rules of the personalizations: each alone, and all of them together."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from mailprefs.vendor.preflight.addresses import address, headers
from mailprefs.vendor.preflight.rules import (
    LINE_BREAK,
    MOST_BYTES,
    MOST_PEOPLE,
    Fault,
    Faults,
    Object,
    Place,
    called,
    exactly,
    unknown,
    weight,
)

FARTHEST_SEND = timedelta(hours=72)

# Each event carries our custom args flat beside the vendor's own fields, which overwrite them.
_RESERVED_ARGS = frozenset(
    "email timestamp event category sg_event_id sg_message_id smtp-id ip useragent url url_offset"
    " reason status type response attempt asm_group_id pool tls send_at".split()
)
_PERSONALIZATION = frozenset(
    "from to cc bcc subject headers substitutions dynamic_template_data custom_args send_at".split()
)


def personalizations(request: Object, now: datetime) -> Faults:
    """Fault the list of personalizations: each of them, and who stands there twice."""
    people = request.get("personalizations")
    place = ("personalizations",)
    if not isinstance(people, list) or not people:
        yield Fault(place, "nobody to send to: it must be a list of at least one personalization.")
        return
    if len(people) > MOST_PEOPLE:
        yield Fault(place, f"{len(people)} of them, but the vendor takes at most {MOST_PEOPLE}.")
        return
    for position, person in enumerate(people):
        yield from personalization(request, person, (*place, position), now)
    yield from _crowd(people)


def personalization(request: Object, person: object, place: Place, now: datetime) -> Faults:
    """List the broken rules of one personalization of *request*, which stands at *place*."""
    if not isinstance(person, dict):
        yield Fault(place, "not an object.")
        return
    yield from unknown(person, place, _PERSONALIZATION)
    for part in ("to", "cc", "bcc"):
        if part == "to" or part in person:
            yield from _addresses(person.get(part), (*place, part))
    yield from _own_sender(request, person, (*place, "from"))
    yield from _substitutions(request, person, (*place, "substitutions"))
    yield from _own_subject(request, person, (*place, "subject"))
    yield from headers(person.get("headers", {}), (*place, "headers"))
    yield from custom_args(
        person.get("custom_args", {}), request.get("custom_args", {}), (*place, "custom_args")
    )
    yield from exactly(person, "dynamic_template_data", dict, place)
    yield from send_at(person, place, now)


def _crowd(people: list[object]) -> Faults:
    """Count the recipients of all personalizations, and find those who stand there twice."""
    seen: set[str] = set()
    total = 0
    for place, email in emails(people):
        total += 1
        if email.lower() in seen:
            yield Fault(place, "this recipient stands in the request more than once.")
        seen.add(email.lower())
    if total > MOST_PEOPLE:
        yield Fault(
            ("personalizations",),
            f"{total} recipients (to, cc and bcc), but the vendor takes at most {MOST_PEOPLE}.",
        )


def emails(people: list[object]) -> Iterator[tuple[Place, str]]:
    """List every address of all personalizations with its place, whatever else is wrong."""
    for position, person in enumerate(people):
        for part in ("to", "cc", "bcc"):
            listed = person.get(part) if isinstance(person, dict) else None
            for index, entry in enumerate(listed if isinstance(listed, list) else ()):
                email = entry.get("email") if isinstance(entry, dict) else None
                if isinstance(email, str):
                    yield ("personalizations", position, part, index, "email"), email


def _addresses(entries: object, place: Place) -> Faults:
    if not isinstance(entries, list) or not entries:
        yield Fault(place, "it must be a list of at least one recipient.")
        return
    for index, entry in enumerate(entries):
        yield from address(entry, (*place, index))
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and (";" in name or "," in name):
            yield Fault((*place, index, "name"), "a name can't hold a comma or a semicolon.")


def _own_sender(request: Object, person: Object, place: Place) -> Faults:
    if "from" not in person:
        return
    yield from address(person["from"], place)
    domains = [_domain(sender) for sender in (request.get("from"), person["from"])]
    if domains[0] != domains[1]:
        yield Fault(place, "its domain must be that of the request's own from.")


def _domain(sender: object) -> str:
    email = sender.get("email") if isinstance(sender, dict) else None
    return email.rpartition("@")[2].lower() if isinstance(email, str) else ""


def _substitutions(request: Object, person: Object, place: Place) -> Faults:
    pairs = person.get("substitutions", {})
    if not isinstance(pairs, dict):
        yield Fault(place, "it must be an object of texts.")
        return
    template = request.get("template_id")
    if pairs and isinstance(template, str) and template.startswith("d-"):
        yield Fault(place, "a dynamic template (d-...) takes dynamic_template_data instead.")
    if len(pairs) > MOST_BYTES:
        yield Fault(place, f"more than {MOST_BYTES} tags.")
    for number, (tag, value) in enumerate(pairs.items(), start=1):
        if not tag or " " in tag or not tag.isprintable():
            yield Fault(place, f"the name of tag {number} is empty or holds a space.")
        if not isinstance(value, str):
            yield Fault(place, f"the value of {called(tag, number)} must be a text.")
        elif not value:
            # What the vendor does with an empty value isn't documented; a space is always safe.
            yield Fault(
                place, f"the value of {called(tag, number)} is empty; a space stands for nothing."
            )
    yield from weight(pairs, place)


def _own_subject(request: Object, person: Object, place: Place) -> Faults:
    subject = person.get("subject", request.get("subject"))
    if subject is None:
        if not request.get("template_id"):
            yield Fault(place, "there is none, neither here nor for the whole request.")
        return
    if not isinstance(subject, str) or not subject:
        yield Fault(place, "it must be a text of at least one character.")
        return
    pairs = person.get("substitutions", {})
    filled = [subject]
    if isinstance(pairs, dict):
        filled += [str(value) for tag, value in pairs.items() if tag in subject]
    if any(LINE_BREAK.search(text) for text in filled):
        yield Fault(place, "it holds a line break, as written or by a substituted value.")


def custom_args(own: object, shared: object, place: Place) -> Faults:
    """Fault custom args that aren't texts, that the vendor overwrites, or that weigh too much."""
    if not isinstance(own, dict):
        yield Fault(place, "it must be an object of texts.")
        return
    for number, (name, value) in enumerate(own.items(), start=1):
        if name in _RESERVED_ARGS:
            yield Fault(place, f"the vendor overwrites {name} in its events; choose another name.")
        if not isinstance(value, str) or not value:
            yield Fault(
                place, f"the value of {called(name, number)} must be a text, and not empty."
            )
    yield from weight({**shared, **own} if isinstance(shared, dict) else own, place)


def send_at(part: Object, place: Place, now: datetime) -> Faults:
    """Fault a time of sending that isn't in seconds, or is too far ahead."""
    yield from exactly(part, "send_at", int, place)
    moment = part.get("send_at")
    if type(moment) is int and moment > (now + FARTHEST_SEND).timestamp():
        yield Fault((*place, "send_at"), "more than 72 hours ahead (it is in seconds).")
