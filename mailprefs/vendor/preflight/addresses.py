"""The rules of an address object and of message headers, wherever in a request they stand."""

import re

from mailprefs.vendor.preflight.rules import LINE_BREAK, Fault, Faults, Place, called, unknown

LONGEST_ADDRESS = 320

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
"""What the vendor takes as an address: plain ASCII, a domain of at least two labels."""

_HEADER_NAME = re.compile(r"[!-9;-~]+")
_RESERVED_HEADERS = frozenset(
    "x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding to from"
    " subject reply-to cc bcc".split()
)


def address(entry: object, place: Place) -> Faults:
    """Fault one object of email and name, as every address in a request is."""
    if not isinstance(entry, dict):
        yield Fault(place, "it must be an object with an email.")
        return
    yield from unknown(entry, place, frozenset({"email", "name"}))
    email, name = entry.get("email"), entry.get("name", "")
    if not isinstance(email, str) or not email:
        yield Fault((*place, "email"), "it is missing; it must be an address.")
    elif len(email) > LONGEST_ADDRESS:
        yield Fault((*place, "email"), f"longer than {LONGEST_ADDRESS} characters.")
    elif not ADDRESS.fullmatch(email):
        yield Fault((*place, "email"), "not an address that the vendor takes.")
    if not isinstance(name, str):
        yield Fault((*place, "name"), "it must be a text.")
    elif LINE_BREAK.search(name):
        yield Fault((*place, "name"), "a name can't hold a line break.")


def headers(pairs: object, place: Place) -> Faults:
    """Fault message headers that can't be set, or whose name or value would break a message."""
    if not isinstance(pairs, dict):
        yield Fault(place, "it must be an object of texts.")
        return
    if len({name.lower() for name in pairs}) < len(pairs):
        yield Fault(place, "a header stands there twice.")
    for number, (name, value) in enumerate(pairs.items(), start=1):
        if not _HEADER_NAME.fullmatch(name):
            yield Fault(place, f"the name of header {number} must be ASCII without spaces.")
        elif name.lower() in _RESERVED_HEADERS:
            yield Fault(place, f"{name} is the vendor's own header and can't be set.")
        if not isinstance(value, str) or not value:
            yield Fault(
                place, f"the value of {called(name, number)} must be a text, and not empty."
            )
        elif LINE_BREAK.search(value):
            yield Fault(place, f"the value of {called(name, number)} holds a line break.")
