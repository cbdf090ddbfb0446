"""From marked parts to what is handed over: tags in the bodies, and the recipe of their values.

The vendor replaces plain text by plain text, so every tag carries a random word of its content
that no value may hold. Text and HTML have tags of their own, as only one of them is escaped. A
conditional block is one tag whose value is the branch that fits the person, values filled in: the
vendor's own replacing of tags inside values is never relied on.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from mailprefs.errors import BadTemplate
from mailprefs.rendering import markup
from mailprefs.rendering.merge import BLOCK_MARK, TAG_MARK, Block, Kind, Question, Reading, capital

LONGEST_BLOCK: Final = 1_000
"""Bytes of one branch of a conditional block, in one part; every recipient's copy carries it."""
_MEASUREMENT, _PREFERENCES = "measurement_url", "preferences_url"
_MEASUREMENT_PLACE = "#measurement"

Pieces = tuple[str | int, ...]
"""A branch: literal texts, and the numbers of the slots between them."""


class Part(StrEnum):
    """Where a tag stands; a subject is filled like the text part."""

    TEXT = "t"
    HTML = "h"


class Slot(NamedTuple):
    """One value of a person: a field or a link, and its tags in text and in HTML.

    An empty tag means that the part doesn't hold the slot, or only inside a block.
    """

    name: str
    is_link: bool
    fallback: str
    text_tag: str = ""
    html_tag: str = ""


class Conditional(NamedTuple):
    """One block in one part: its tag, what is asked of which field, and the two branches."""

    tag: str
    is_html: bool
    name: str
    test: Question
    value: str
    then: Pieces
    otherwise: Pieces


class Finisher:
    """Turns the marks of one content's parts into tags, part by part."""

    def __init__(self, reading: Reading, mark: str) -> None:
        self.conditionals: list[Conditional] = []
        self._reading = reading
        self._mark = mark
        self._slots: list[Slot] = []

    def finish(self, marked: str, part: Part) -> str:
        """Give one part with tags for marks, and remember its blocks.

        :raises BadTemplate: for a block that is too large, torn apart or empty.
        """
        for number, block in enumerate(self._reading.blocks, start=1):
            if block.opening in marked:
                tag = f"-{self._mark}_IF{number}_{part}-"
                marked = self._cut(marked, block, tag, part)
        torn = BLOCK_MARK.search(marked)
        if torn:
            raise _wrong(
                self._reading.block(torn[0]),
                "the block is torn apart; begin and end it in the same text or column.",
            )
        return TAG_MARK.sub(lambda match: self._tag(match[0], part), marked)

    def slots(self, *finished: str) -> tuple[Slot, ...]:
        """List the slots in order of their numbers, with the tags that *finished* parts hold."""
        whole = "\n".join(finished)
        return tuple(
            slot._replace(
                text_tag=slot.text_tag if slot.text_tag in whole else "",
                html_tag=slot.html_tag if slot.html_tag in whole else "",
            )
            for slot in self._slots
        )

    def _cut(self, marked: str, block: Block, tag: str, part: Part) -> str:
        """Give *marked* with *tag* where the block stood."""
        before, _, after = marked.partition(block.opening)
        inner, found, after = after.partition(block.closing)
        if not found or block.opening in after:
            raise _wrong(block, "the block is torn apart; begin and end it in the same text.")
        then, _, otherwise = inner.partition(block.otherwise)
        if part is Part.TEXT:
            before, then, otherwise = _close_up(before, then, otherwise)
        elif not (markup.is_balanced(then) and markup.is_balanced(otherwise)):
            raise _wrong(
                block,
                "the block begins in one paragraph, list or cell and ends in another; put "
                "{% if %}, {% else %} and {% endif %} in the same one, or each on a line alone.",
            )
        if not (then.strip() or otherwise.strip()) and part is Part.HTML:
            raise _wrong(block, "the block is empty; write something in it or take it out.")
        before, then, otherwise = _never_empty(before, then, otherwise, part)
        self._weigh(block, then, otherwise)
        self.conditionals.append(
            Conditional(
                tag, part is Part.HTML, block.name, block.test, block.value,
                self._pieces(then), self._pieces(otherwise),
            )
        )  # fmt: skip
        return before + tag + after

    def _weigh(self, block: Block, *branches: str) -> None:
        size = max(len(branch.encode()) for branch in branches)
        if size > LONGEST_BLOCK:
            raise _wrong(
                block,
                f"this block is {size} bytes and would be sent once for every recipient; at most "
                f"{LONGEST_BLOCK} are possible. Keep the differing sentence in the block and the "
                "rest outside, or send two campaigns, one to each group of people.",
            )

    def _pieces(self, branch: str) -> Pieces:
        pieces: list[str | int] = []
        position = 0
        for match in TAG_MARK.finditer(branch):
            number, suffix = self._slot(match[0])
            pieces += [branch[position : match.start()], number, suffix]
            position = match.end()
        pieces.append(branch[position:])
        return tuple(piece for piece in pieces if piece != "")

    def _tag(self, mark: str, part: Part) -> str:
        number, suffix = self._slot(mark)
        slot = self._slots[number]
        return (slot.text_tag if part is Part.TEXT else slot.html_tag) + suffix

    def _slot(self, mark: str) -> tuple[int, str]:
        """Give the number of the slot of *mark*, and what follows its value."""
        tag = self._reading.tag(mark)
        name, suffix = tag.name, ""
        if tag.kind is Kind.LINK and name == _MEASUREMENT:
            # The preference page's section on measurement: one value serves both links.
            name, suffix = _PREFERENCES, _MEASUREMENT_PLACE
        for number, slot in enumerate(self._slots):
            if slot[:3] == (name, tag.kind is Kind.LINK, tag.fallback):
                return number, suffix
        self._slots.append(self._new_slot(name, tag.kind, tag.fallback))
        return len(self._slots) - 1, suffix

    def _new_slot(self, name: str, kind: Kind, fallback: str) -> Slot:
        if kind is Kind.LINK:
            # No escaping: a path of ours, or an address that was checked, holds nothing special.
            tag = f"-{self._mark}_URL_{name}-"
            return Slot(name, True, fallback, tag, tag)
        same = sum(slot.name == name and not slot.is_link for slot in self._slots)
        # A name begins with a letter, so a number before it can't make another field's tag.
        word = f"{same + 1}{name}" if same else name
        text, html = (f"-{self._mark}_{word}_{part}-" for part in Part)
        return Slot(name, False, fallback, text, html)


def _close_up(before: str, then: str, otherwise: str) -> tuple[str, str, str]:
    """Move the blank lines before a block of whole paragraphs into its branches.

    So a branch that isn't there leaves no hole in the text part.
    """
    if not then.startswith("\n") or (before and not before.endswith("\n")):
        return before, then, otherwise
    kept = before.rstrip("\n")
    gap = before[len(kept) :]
    branches = [gap + one.strip("\n") if one.strip() else "" for one in (then, otherwise)]
    return kept, branches[0], branches[1]


def _never_empty(before: str, then: str, otherwise: str, part: Part) -> tuple[str, str, str]:
    """Give both branches at least one character, as an empty value is not safe with the vendor.

    The character before the block is taken into both, so that no stray space is left; where that
    is a tag or a piece of HTML, a space stands in.
    """
    if then and otherwise:
        return before, then, otherwise
    last = before[-1:]
    if not last or re.match("[\ue000-\uf8ff]", last) or last == "-":
        return before, then or " ", otherwise or " "
    if part is Part.HTML and last in "<>&;":
        return before, then or " ", otherwise or " "
    return before[:-1], last + then, last + otherwise


def _wrong(block: Block, sentence: str) -> BadTemplate:
    return BadTemplate(f"{capital(block.place)}: {sentence}")
