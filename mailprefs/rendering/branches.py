"""A conditional block when it meets a person: whether its test holds, and its words for them."""

from collections.abc import Callable, Sequence
from operator import itemgetter

from mailprefs.rendering.merge import Question
from mailprefs.rendering.parts import Conditional, Pieces


def tester(conditional: Conditional) -> Callable[[tuple[str, str] | None], bool]:
    """Give the function that tells whether a block's test holds for what a person has."""
    wanted = conditional.value
    if conditional.test is Question.IS:
        return lambda has: (has[0] if has else "") == wanted
    if conditional.test is Question.IS_NOT:
        return lambda has: (has[0] if has else "") != wanted
    if conditional.test is Question.UNSET:
        return lambda has: has is None
    return lambda has: has is not None


def writer(pieces: Pieces) -> Callable[[Sequence[str]], str]:
    """Give the function that writes a branch with a person's values in it."""
    numbers = [piece for piece in pieces if isinstance(piece, int)]
    if not numbers:
        words = "".join(map(str, pieces))
        return lambda _: words
    pattern = "".join(
        "%s" if isinstance(piece, int) else piece.replace("%", "%%") for piece in pieces
    )
    chosen = itemgetter(*numbers)
    return lambda values: pattern % chosen(values)
