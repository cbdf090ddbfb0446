"""What changed between two texts, as a reader is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailprefs.notices.differences import Block, Piece, What, blocks, compare

WORDS = st.lists(
    st.sampled_from(["we", "keep", "orders", "for", "one", "two", "years"]), min_size=1
)
TEXTS = st.lists(WORDS.map(" ".join), max_size=8).map("\n\n".join)


def told(old: str, new: str) -> list[tuple[What, str, tuple[Piece, ...]]]:
    """Give the passages that aren't the same."""
    passages = compare(old, new).passages
    return [(one.what, one.kind, one.pieces) for one in passages if one.what is not What.SAME]


def test_words_that_came_and_went_are_told_in_their_paragraph() -> None:
    old = "# Privacy\n\nWe keep orders for one year."
    new = "# Privacy\n\nWe keep orders for two years."
    assert told(old, new) == [
        (
            What.CHANGED,
            "p",
            (
                Piece(What.SAME, "We keep orders for"),
                Piece(What.REMOVED, "one year."),
                Piece(What.ADDED, "two years."),
            ),
        )
    ]


def test_a_paragraph_that_came_or_went_is_told_whole() -> None:
    assert told("Hello.", "Hello.\n\nEntirely new.") == [
        (What.ADDED, "p", (Piece(What.ADDED, "Entirely new."),))
    ]
    assert told("Hello.\n\nOld.", "Hello.") == [(What.REMOVED, "p", (Piece(What.REMOVED, "Old."),))]


def test_layout_is_no_change_and_where_a_link_leads_is_one() -> None:
    assert told("We keep\norders.", "We  keep orders.") == []
    assert told("We **keep** it.", "We keep it.") == []
    (change,) = told("See [our list](https://a.test).", "See [our list](https://b.test).")
    assert Piece(What.ADDED, "(https://b.test).") in change[2]


def test_markdown_is_read_as_its_reader_sees_it() -> None:
    text = "## Rights\n\n1. access\n2. erasure\n\n| what | long |\n|---|---|\n| opens | 30 days |\n"
    assert blocks(text) == [
        Block("h2", "Rights"),
        Block("li", "access"),
        Block("li", "erasure"),
        Block("p", "what | long |"),
        Block("p", "opens | 30 days |"),
    ]
    assert blocks("<script>x</script>") == [Block("p", "<script>x</script>")]


@given(old=TEXTS, new=TEXTS)
def test_both_texts_can_be_read_back_from_their_difference(old: str, new: str) -> None:
    """Nothing is lost: without what was added it is the old text, without what went the new one."""
    pieces = [piece for one in compare(old, new).passages for piece in one.pieces]
    before = [piece.text for piece in pieces if piece.what is not What.ADDED]
    after = [piece.text for piece in pieces if piece.what is not What.REMOVED]
    assert " ".join(before).split() == old.split()
    assert " ".join(after).split() == new.split()
    assert (compare(old, new).changes == 0) is (blocks(old) == blocks(new))


@pytest.mark.parametrize("words", [2, 60])
def test_a_long_policy_is_compared_in_seconds(words: int) -> None:
    def text(shift: int) -> str:
        size = 60_000 // (6 * words)
        rows = ((f"w{(n * 7 + m + shift) % 997}" for m in range(words)) for n in range(size))
        return "\n\n".join(" ".join(row) for row in rows)

    assert compare(text(0), text(500)).changes
