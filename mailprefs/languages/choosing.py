"""Which language fits: by a tag, and by what somebody's browser asks for (RFC 9110, RFC 4647)."""

from collections.abc import Iterable, Mapping

from mailprefs.languages.language import ENGLISH, Language, every


def find(tag: str | None) -> Language | None:
    """Give the language that fits a tag best: de for de-AT, pt-BR for pt; None where none does.

    A tag of another region is better answered in the language than not at all: pt-BR for pt-PT.
    """
    by_tag = {language.tag.casefold(): language for language in every()}
    asked = (tag or "").strip().replace("_", "-").casefold()
    while asked:
        if asked in by_tag:
            return by_tag[asked]
        # Of several with this beginning the first by its tag, so that the answer stays the same.
        longer = sorted(known for known in by_tag if known.startswith(f"{asked}-"))
        if longer:
            return by_tag[longer[0]]
        asked = asked.rpartition("-")[0]
    return None


def best(own: str | None, asked: Iterable[tuple[str, float]] = ()) -> Language:
    """Give the language to speak in: the person's *own*, else what the browser *asked* for.

    *asked* are the ranges of Accept-Language with their weights, 0 to 1; a weight of 0 is a no
    (RFC 9110, section 12.4.2). English where nothing fits.
    """
    mine = find(own)
    if mine is not None:
        return mine
    weights = dict(asked)
    # English first: it is what "*" means, if it may be.
    allowed = [one for one in (ENGLISH, *every()) if not _is_refused(one, weights)]
    for tag in sorted(weights, key=lambda tag: -weights[tag]):
        found = next(iter(allowed), None) if tag == "*" else find(tag)
        if found in allowed and weights[tag] > 0:
            return found
    return ENGLISH


def _is_refused(language: Language, weights: Mapping[str, float]) -> bool:
    """Tell whether the most that was said of a language is no."""
    said = [tag for tag in weights if _covers(tag, language.tag)]
    return bool(said) and weights[max(said, key=len)] == 0


def _covers(asked: str, tag: str) -> bool:
    """Tell whether a range takes in a tag (RFC 4647, section 3.3.1)."""
    return f"{tag}-".casefold().startswith(f"{asked}-".casefold())
