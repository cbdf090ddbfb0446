"""What is different between two texts of the policy, block by block and word by word. Pure.

A text is read as its reader sees it: headings, paragraphs, items and rows, without Markdown's
marks. Blocks that are like each other are compared by their words, all others came or went whole.
A link is its words with the address behind them, so that an address that changes is seen, too.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

import mistune

_ALIKE: Final = 0.4
"""From this share of common words on, a block was changed and not replaced."""
_MOST_COMPARED: Final = 250_000
"""Words of the one times words of the other block: beyond, both are shown whole."""
_FARTHEST: Final = 20
"""So many blocks ahead a changed block's former text is looked for."""
_BLOCKS: Final = {"paragraph", "block_text", "block_code", "table_row", "table_head"}
_parse = mistune.create_markdown(renderer=None, plugins=["table"])

Token = dict[str, Any]


class What(StrEnum):
    """What became of a block or of some words."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Block(NamedTuple):
    """One heading, paragraph, item or row: *kind* is its HTML element (h1 to h3, p or li)."""

    kind: str
    text: str


class Piece(NamedTuple):
    """Some words of a block: the same in both texts, added or removed."""

    what: What
    text: str


class Passage(NamedTuple):
    """One block as it is shown: what became of it, and its words in order."""

    what: What
    kind: str
    pieces: tuple[Piece, ...]


class Difference(NamedTuple):
    """All passages in reading order; *changes* is how many of them aren't the same."""

    passages: tuple[Passage, ...]
    changes: int


@lru_cache(maxsize=64)
def compare(old: str, new: str) -> Difference:
    """Give what leads from the *old* text to the *new* one; published texts never change."""
    passages = tuple(_passages(blocks(old), blocks(new)))
    return Difference(passages, sum(one.what is not What.SAME for one in passages))


def blocks(text: str) -> list[Block]:
    """Give the blocks of a Markdown text in reading order; HTML in it is text like any other."""
    tokens = _parse(text.replace("\r\n", "\n"))
    if isinstance(tokens, str):  # Only with a renderer.
        raise TypeError("mistune was expected to give tokens")
    return [one for one in _blocks(tokens, "p") if one.text]


def _blocks(tokens: Sequence[Token], kind: str) -> Iterator[Block]:
    for token in tokens:
        name = token["type"]
        if name == "heading":
            yield Block(f"h{min(token['attrs']['level'], 3)}", _words(token))
        elif name in _BLOCKS:
            yield Block(kind, _words(token))
        elif name == "block_html":
            yield Block(kind, " ".join(str(token["raw"]).split()))
        elif "children" in token:
            yield from _blocks(token["children"], "li" if name == "list_item" else kind)


def _words(token: Token) -> str:
    return " ".join(_inline(token).split())


def _inline(token: Token) -> str:
    name = token["type"]
    if name in {"softbreak", "linebreak"}:
        return " "
    children = token.get("children", ())
    inner = str(token["raw"]) if "raw" in token else "".join(map(_inline, children))
    if name == "table_cell":
        return f"{inner} | "
    url = str(token.get("attrs", {}).get("url", ""))
    return f"{inner} ({url})" if name in {"link", "image"} and url != inner else inner


def _passages(old: Sequence[Block], new: Sequence[Block]) -> Iterator[Passage]:
    for tag, i, i_end, j, j_end in SequenceMatcher(None, old, new).get_opcodes():
        if tag == "equal":
            yield from (_whole(What.SAME, block) for block in new[j:j_end])
        else:
            yield from _replaced(old[i:i_end], new[j:j_end])


def _replaced(old: Sequence[Block], new: Sequence[Block]) -> Iterator[Passage]:
    """Give what came of some blocks in the place of others: like ones are compared by words."""
    words = [Counter(block.text.split()) for block in old]
    before = 0
    for block in new:
        own = Counter(block.text.split())
        near = range(before, min(before + _FARTHEST, len(old)))
        partner = next((n for n in near if _are_alike(words[n], own)), None)
        if partner is None:
            yield _whole(What.ADDED, block)
            continue
        yield from (_whole(What.REMOVED, gone) for gone in old[before:partner])
        yield Passage(What.CHANGED, block.kind, _pieces(old[partner].text, block.text))
        before = partner + 1
    yield from (_whole(What.REMOVED, gone) for gone in old[before:])


def _whole(what: What, block: Block) -> Passage:
    return Passage(what, block.kind, (Piece(what, block.text),))


def _are_alike(old: Counter[str], new: Counter[str]) -> bool:
    """Tell whether enough words of two blocks are the same, in whatever order."""
    n, m = old.total(), new.total()
    return n * m <= _MOST_COMPARED and 2 * (old & new).total() >= _ALIKE * (n + m)


def _pieces(old: str, new: str) -> tuple[Piece, ...]:
    first, second = old.split(), new.split()
    found = list[Piece]()
    for tag, i, i_end, j, j_end in SequenceMatcher(None, first, second).get_opcodes():
        if tag == "equal":
            found.append(Piece(What.SAME, " ".join(second[j:j_end])))
            continue
        if i < i_end:
            found.append(Piece(What.REMOVED, " ".join(first[i:i_end])))
        if j < j_end:
            found.append(Piece(What.ADDED, " ".join(second[j:j_end])))
    return tuple(found)
