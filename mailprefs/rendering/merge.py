"""The merge language that authors write in subjects and bodies.

=========================================  =====================================================
``{{ first_name | "there" }}``             a field, and what stands there for people without it
``{{ first_name }}``                       a field that everybody must have
``{% if plan %}...{% endif %}``            only for people who have it
``{% if not plan %}...{% endif %}``        only for people who don't
``{% if plan == "pro" %}...{% else %}...{% endif %}``   also with ``!=``; letter case counts
``{{ preferences_url }}``                  a link of the person's own, alone in its address
``{{ sender_name }}``                      a fact that is the same for everybody
=========================================  =====================================================

Reading replaces each tag by one character of Unicode's private use area. Such a *mark* means
nothing to Markdown, MJML and HTML, so a source goes through all of them as if it held plain words;
what a mark stands for is looked up again when the parts are finished.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, NamedTuple

from mailprefs.errors import BadTemplate

_FIRST_TAG, _FIRST_BLOCK, _END = 0xE100, 0xE900, 0xF900
_PRIVATE = re.compile("[\ue000-\uf8ff]")
TAG_MARK: Final = re.compile("[\ue100-\ue8ff]")
"""A mark of a field, a link or a constant."""
BLOCK_MARK: Final = re.compile("[\ue900-\uf8ff]")
"""A mark of a block's beginning, else or end."""

NAMES_OF_EVERYBODY: Final = ("first_name", "last_name", "email")
"""Fields that every person has, beside the attributes that an installation defines."""
LONGEST_FALLBACK: Final = 40
"""Characters; what is longer is a text for a conditional block."""
_RESERVED = frozenset({"if", "else", "elif", "endif", "not"})

_TAG = re.compile(r"\{\{(?P<field>[^{}\n]*)\}\}|\{%(?P<statement>[^{}\n]*?)%\}")
_NAME = r"[a-z][a-z0-9_]*"
_QUOTED = "(?:\"(?P<{0}>[^\"]*)\"|'(?P<{0}1>[^']*)'|[“„](?P<{0}2>[^“”]*)[“”])"
_FIELD = re.compile(rf"(?P<name>{_NAME})(?:\s*\|\s*{_QUOTED.format('fallback')})?")
_IF = re.compile(
    rf"if\s+(?P<negated>not\s+)?(?P<name>{_NAME})(?:\s*(?P<sign>==|!=)\s*{_QUOTED.format('value')})?"
)
_PROMOTION = re.compile(r"promo|coupon|discount|voucher|offer|deal|advert|sale(_|$)")


class Kind(StrEnum):
    """What a tag stands for."""

    FIELD = "field"
    LINK = "link"
    CONSTANT = "constant"


class Question(StrEnum):
    """What a conditional block asks of a person's field."""

    SET = "set"
    UNSET = "unset"
    IS = "is"
    IS_NOT = "is_not"


class Tag(NamedTuple):
    """One thing that a mark stands for; *place* is where it was first read, for sentences."""

    kind: Kind
    name: str
    fallback: str
    place: str


@dataclass(slots=True)
class Block:
    """A conditional block: its test, and the marks between which its two branches stand."""

    name: str
    test: Question
    value: str
    place: str
    opening: str
    otherwise: str
    closing: str
    has_else: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names that one source may use, and why it may not use others.

    *links* are a person's own addresses; *constants* are the same for everybody; *refused* maps a
    name to the reason; *attributes* are the fields that exist, or None where any name may be one.
    """

    constants: Mapping[str, str]
    links: Collection[str]
    refused: Mapping[str, str]
    attributes: Collection[str] | None = None
    administrative: bool = False


@dataclass(slots=True)
class Reading:
    """All tags of one content, gathered from its subject, its body and its layout."""

    tags: list[Tag] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    """Fields without fallback, used outside a block that asks for them, in reading order."""
    uses: Counter[str] = field(default_factory=Counter)
    """How often each link and constant was named."""

    def read(self, source: str, place: str, vocabulary: Vocabulary) -> str:
        """Give *source* with every tag replaced by its mark; *place* names it in errors.

        :raises BadTemplate: for the first tag that is not in the language or the vocabulary.
        """
        return _Reader(self, source, place, vocabulary).read()

    def tag(self, mark: str) -> Tag:
        """Give the tag that *mark* stands for."""
        return self.tags[ord(mark) - _FIRST_TAG]

    def mark(self, tag: Tag) -> str:
        """Give the mark of *tag*, the same one for the same kind, name and fallback."""
        for index, known in enumerate(self.tags):
            if known[:3] == tag[:3]:
                return chr(_FIRST_TAG + index)
        if _FIRST_TAG + len(self.tags) >= _FIRST_BLOCK:
            raise BadTemplate(f"{capital(tag.place)}: this message has too many different fields.")
        self.tags.append(tag)
        return chr(_FIRST_TAG + len(self.tags) - 1)

    def add_block(self, name: str, test: Question, value: str, place: str) -> Block:
        """Begin a block, with three marks of its own."""
        first = _FIRST_BLOCK + 3 * len(self.blocks)
        if first + 3 > _END:
            raise BadTemplate(f"{capital(place)}: this message has too many conditional blocks.")
        block = Block(name, test, value, place, chr(first), chr(first + 1), chr(first + 2))
        self.blocks.append(block)
        return block

    def block(self, mark: str) -> Block:
        """Give the block that *mark* belongs to."""
        return self.blocks[(ord(mark) - _FIRST_BLOCK) // 3]

    def fill(self, marked: str, facts: Mapping[str, str], written: Callable[[str], str]) -> str:
        """Give *marked* with *facts* put in for the constants of their names, as *written* says."""

        def put(match: re.Match[str]) -> str:
            tag = self.tag(match[0])
            known = tag.kind is Kind.CONSTANT and tag.name in facts
            return written(facts[tag.name]) if known else match[0]

        return TAG_MARK.sub(put, marked)

    def insert(self, marked: str, name: str, inner: str) -> str:
        """Give *marked* with the constant *name* replaced by *inner*, marks and all."""
        return marked.replace(self.mark(Tag(Kind.CONSTANT, name, "", "")), inner)


class _Reader:
    """Reads one source into a Reading, and knows on which line it is."""

    def __init__(self, reading: Reading, source: str, place: str, vocabulary: Vocabulary) -> None:
        self._reading = reading
        self._source = source
        self._place = place
        self._vocabulary = vocabulary
        self._open: Block | None = None

    def read(self) -> str:
        private = _PRIVATE.search(self._source)
        if private:
            raise self._wrong(
                private.start(), "holds an invisible private-use character; delete it."
            )
        out: list[str] = []
        position = 0
        for match in _TAG.finditer(self._source):
            out.append(self._literal(position, match.start()))
            text = match["field"]
            if text is not None:
                out.append(self._field(text.strip(), match.start()))
            else:
                out.append(self._statement(match["statement"].strip(), match.start()))
            position = match.end()
        out.append(self._literal(position, len(self._source)))
        if self._open is not None:
            raise BadTemplate(
                f"{capital(self._open.place)}: {{% if {self._open.name} %}} is never closed; "
                "write {% endif %} where the block ends."
            )
        return "".join(out)

    def _literal(self, start: int, end: int) -> str:
        literal = self._source[start:end]
        for opening, closing in (("{{", "}}"), ("{%", "%}")):
            at = literal.find(opening)
            if at >= 0:
                shown = literal[at : at + 24].split("\n", 1)[0]
                raise self._wrong(
                    start + at,
                    f"{shown} is not closed; a tag begins with {opening}, ends with {closing} "
                    "and stands on one line.",
                )
        return literal

    def _field(self, text: str, at: int) -> str:
        match = _FIELD.fullmatch(text)
        if match is None:
            raise self._wrong(at, self._why_no_field(text))
        name, fallback = match["name"], _quoted(match, "fallback")
        self._known(name, at)
        place = self._at(at)
        if name in self._vocabulary.links or name in self._vocabulary.constants:
            if fallback is not None:
                raise self._wrong(at, f"{{{{ {name} }}}} is never empty and takes no fallback.")
            return self._own(name, at)
        if fallback == "":
            raise self._wrong(
                at,
                f"an empty fallback leaves a gap; write {{% if {name} %}}{{{{ {name} }}}} "
                "{% endif %} instead.",
            )
        if fallback is not None and len(fallback) > LONGEST_FALLBACK:
            raise self._wrong(
                at,
                f"the fallback has {len(fallback)} characters, at most {LONGEST_FALLBACK} are "
                f"possible; write {{% if {name} %}}...{{% else %}}...{{% endif %}} instead.",
            )
        if fallback is None and not self._guarded(name) and name not in self._reading.required:
            self._reading.required.append(name)
        return self._reading.mark(Tag(Kind.FIELD, name, fallback or "", place))

    def _own(self, name: str, at: int) -> str:
        """Give the mark of a link or a constant, and count its use."""
        is_link = name in self._vocabulary.links
        if name == "unsubscribe_url" and self._open is not None:
            raise self._wrong(
                at, "the unsubscribe link is for everybody; take it out of the {% if %} block."
            )
        self._reading.uses[name] += 1
        kind = Kind.LINK if is_link else Kind.CONSTANT
        return self._reading.mark(Tag(kind, name, "", self._at(at)))

    def _statement(self, text: str, at: int) -> str:
        if text == "else":
            return self._else(at)
        if text == "endif":
            return self._endif(at)
        match = _IF.fullmatch(text)
        if match is None:
            raise self._wrong(at, self._why_no_statement(text))
        if self._open is not None:
            raise self._wrong(
                at,
                f"a block inside the block of {self._open.place} is not supported; "
                "close the first with {% endif %}, or write the two one after the other.",
            )
        name, value = match["name"], _quoted(match, "value")
        self._known(name, at)
        if name in self._vocabulary.links or name in self._vocabulary.constants:
            raise self._wrong(at, f"{name} is never empty; {{% if %}} asks for a person's field.")
        if match["negated"] and value is not None:
            raise self._wrong(at, f'write {{% if {name} != "..." %}} instead of not.')
        test = _test(bool(match["negated"]), match["sign"])
        self._open = self._reading.add_block(name, test, value or "", self._at(at))
        return self._open.opening

    def _else(self, at: int) -> str:
        if self._open is None:
            raise self._wrong(at, "{% else %} without {% if ... %} before it.")
        if self._open.has_else:
            raise self._wrong(at, "a second {% else %} in one block; one {% if %} has one.")
        self._open.has_else = True
        return self._open.otherwise

    def _endif(self, at: int) -> str:
        if self._open is None:
            raise self._wrong(at, "{% endif %} without {% if ... %} before it.")
        closing, self._open = self._open.closing, None
        return closing

    def _guarded(self, name: str) -> bool:
        """Tell whether the open block's test means that the field is not empty here."""
        block = self._open
        if block is None or block.name != name:
            return False
        sure = block.test is Question.SET or (block.test is Question.IS and bool(block.value))
        return block.test is Question.UNSET if block.has_else else sure

    def _known(self, name: str, at: int) -> None:
        """Refuse a name that this source may not use, with the reason and what to write."""
        known = self._vocabulary
        if name in known.refused:
            raise self._wrong(at, f"{{{{ {name} }}}} can't stand here: {known.refused[name]}")
        if name in _RESERVED:
            raise self._wrong(at, f"{name} is a word of the merge language, not a field.")
        if known.administrative and _PROMOTION.search(name):
            raise self._wrong(
                at,
                f"{name} looks like promotion, which an administrative message never carries; "
                "send it to the subscribers of a promotional topic.",
            )
        everything = {*known.links, *known.constants, *NAMES_OF_EVERYBODY}
        if known.attributes is None or name in everything or name in known.attributes:
            return
        near = get_close_matches(name, sorted({*everything, *known.attributes}), n=1, cutoff=0.7)
        hint = f"did you mean {near[0]}?" if near else "import it first, or take the tag out."
        fields = ", ".join((*NAMES_OF_EVERYBODY, *sorted(known.attributes)))
        raise self._wrong(at, f"nobody has a field {name}; {hint} There are: {fields}.")

    def _why_no_field(self, text: str) -> str:
        if not text:
            return 'the tag is empty; write a field, as in {{ first_name | "there" }}.'
        if "|" in text:
            name = text.split("|", 1)[0].strip()
            return (
                f"{{{{ {text} }}}} has an unknown filter; the only one is a fallback in quotes, "
                f'as in {{{{ {name} | "there" }}}}.'
            )
        return (
            f"{{{{ {text} }}}} is no field; a field is small letters, digits and _, "
            'as in {{ first_name | "there" }}.'
        )

    def _why_no_statement(self, text: str) -> str:
        word = text.split(" ", 1)[0]
        if self._vocabulary.administrative and _PROMOTION.search(word):
            return (
                f"a block {word} is promotion, which an administrative message never carries; "
                "send it to the subscribers of a promotional topic."
            )
        if word in {"elif", "elseif"}:
            return (
                f"{{% {word} %}} is not supported; write a second {{% if %}} block after the first."
            )
        return (
            f"{{% {text} %}} is not supported; there is {{% if plan %}}, "
            '{% if plan == "pro" %}, {% else %} and {% endif %}.'
        )

    def _at(self, at: int) -> str:
        return f"line {self._source.count(chr(10), 0, at) + 1} of {self._place}"

    def _wrong(self, at: int, sentence: str) -> BadTemplate:
        return BadTemplate(f"{capital(self._at(at))}: {sentence}")


def capital(place: str) -> str:
    """Give a place as a sentence begins."""
    return place[:1].upper() + place[1:]


def is_closing(mark: str) -> bool:
    """Tell whether a block mark ends its block."""
    return (ord(mark) - _FIRST_BLOCK) % 3 == 2


def _quoted(match: re.Match[str], name: str) -> str | None:
    """Give what stood in quotes, whichever quotes an editor made of them."""
    found = (match[name], match[f"{name}1"], match[f"{name}2"])
    return next((text for text in found if text is not None), None)


def _test(negated: bool, sign: str | None) -> Question:  # noqa: FBT001 - what the statement said
    if sign is None:
        return Question.UNSET if negated else Question.SET
    return Question.IS if sign == "==" else Question.IS_NOT
