"""A message as it is handed over: what all its readers share, and the recipe of their values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mailprefs.policy import MessageClass
from mailprefs.rendering.merge import Question
from mailprefs.rendering.parts import Conditional, Slot

MOST_BYTES: Final = 10_000
"""Bytes of one person's substitutions that the vendor takes."""
VALUE_BYTES: Final = 255
"""Bytes that one field of a person may fill in one part; a longer value is cut."""
LINK_BYTES: Final = 200
"""Bytes of the longest link: a base URL of at most 120 characters, and a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One message as it is handed over, with the recipe of each person's values.

    *subject*, *text* and *html* hold the vendor's tags, each with the random *mark* in it.
    *required* are the fields that everybody must have, as no fallback stands in for them; *holds*
    names the links and facts that the message shows.
    """

    message_class: MessageClass
    language: str
    mark: str
    subject: str
    text: str
    html: str
    slots: tuple[Slot, ...]
    conditionals: tuple[Conditional, ...]
    pixel_tag: str
    required: tuple[str, ...]
    holds: frozenset[str]

    def document(self) -> dict[str, Any]:
        """Give everything but the three bodies as JSON, to be stored beside them."""
        return {
            "message_class": self.message_class.value,
            "language": self.language,
            "mark": self.mark,
            "slots": [list(slot) for slot in self.slots],
            "conditionals": [
                [*one[:5], list(one.then), list(one.otherwise)] for one in self.conditionals
            ],
            "pixel_tag": self.pixel_tag,
            "required": list(self.required),
            "holds": sorted(self.holds),
        }

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, subject: str, text: str, html: str
    ) -> "Content":
        """Give the content that ``document`` was taken from."""
        return cls(
            message_class=MessageClass(document["message_class"]),
            language=document["language"],
            mark=document["mark"],
            subject=subject,
            text=text,
            html=html,
            slots=tuple(Slot(*slot) for slot in document["slots"]),
            conditionals=tuple(
                Conditional(tag, is_html, name, Question(asks), value, tuple(then), tuple(other))
                for tag, is_html, name, asks, value, then, other in document["conditionals"]
            ),
            pixel_tag=document["pixel_tag"],
            required=tuple(document["required"]),
            holds=frozenset(document["holds"]),
        )

    def largest_substitutions(self) -> int:
        """Give the bytes of tags and values that one person has at most."""
        total = len(self.pixel_tag) + LINK_BYTES if self.pixel_tag else 0
        for slot in self.slots:
            for tag in {slot.text_tag, slot.html_tag} - {""}:
                total += len(tag) + self._value_bytes(slot)
        return total + sum(len(one.tag) + self._branch_bytes(one) for one in self.conditionals)

    def largest_html(self) -> int:
        """Give the bytes of the HTML part of the person whose values are longest."""
        total = len(self.html.encode()) + LINK_BYTES
        for slot in self.slots:
            if slot.html_tag:
                grows = self._value_bytes(slot) - len(slot.html_tag)
                total += self.html.count(slot.html_tag) * grows
        return total + sum(self._branch_bytes(one) for one in self.conditionals if one.is_html)

    def _value_bytes(self, slot: Slot) -> int:
        return LINK_BYTES if slot.is_link else VALUE_BYTES

    def _branch_bytes(self, conditional: Conditional) -> int:
        return max(
            sum(
                self._value_bytes(self.slots[piece])
                if isinstance(piece, int)
                else len(piece.encode())
                for piece in branch
            )
            for branch in (conditional.then, conditional.otherwise)
        )
