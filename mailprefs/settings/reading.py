"""Settings as they are read, and what is said of a name or a value that is none."""

import logging
import os
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from mailprefs.errors import BadSetting
from mailprefs.settings.values import PREFIX, Settings

_NEAR = 0.75
"""How much alike two names are, from 0 to 1, before one is taken for a slip of the other."""
_OF_THE_TESTS = f"{PREFIX}TESTS_"

log = logging.getLogger(__name__)


def load(**overrides: object) -> Settings:
    """Read the settings; *overrides* win over the environment, which wins over ``settings.env``.

    A name that is no setting is refused in ``settings.env``, where only we write and a typing error
    would go unseen; in the environment, where others put names too, it is only told, once.

    :raises BadSetting: with one sentence a bad value, naming the variable, never the value.
    """
    named = overrides.get("data_dir") or os.environ.get(f"{PREFIX}DATA_DIR")
    file = Path(str(named or "mailprefs-data")) / "settings.env"
    if strange := _strange(_names(file)):
        raise BadSetting(f"{file} holds {strange}")
    if strange := _strange(os.environ):
        _tell(f"The environment holds {strange}")
    try:
        return Settings(_env_file=file, **overrides)  # type: ignore[arg-type]  # pydantic checks the values at run time
    except ValidationError as error:
        raise BadSetting(_sentences(error)) from None


@cache
def _tell(sentence: str) -> None:
    """Warn once a process, however often the settings are read."""
    log.warning(sentence)


def _names(file: Path) -> list[str]:
    """Give the names that a settings file sets; none where there is no file."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    named = (line.partition("=")[0].strip().removeprefix("export ") for line in lines)
    return [name.strip() for name in named if name and not name.startswith("#")]


def _strange(names: Iterable[str]) -> str:
    """Say which names look like settings and are none, with the nearest one that is; else ""."""
    known = sorted(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
    found = []
    for name in sorted(names):
        upper = name.upper()
        is_ours = upper.startswith(PREFIX) and not upper.startswith(_OF_THE_TESTS)
        if is_ours and upper not in known:
            near = get_close_matches(upper, known, n=1, cutoff=_NEAR)
            found.append(f"{name} (did you mean {near[0]}?)" if near else name)
    if not found:
        return ""
    what = "is no setting and changes" if len(found) == 1 else "are no settings and change"
    return f"{', '.join(found)}, which {what} nothing; docs/settings.md lists those there are."


def _sentences(error: ValidationError) -> str:
    """Say which settings are wrong, without repeating a value, which may be a secret."""
    lines = []
    for problem in error.errors():
        name = "_".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        if name in Settings.model_fields and problem["type"] != "value_error":
            text = _expected(name)
        lines.append(f"{PREFIX}{name.upper()}: {text}." if name else f"{text}.")
    return " ".join(lines)


def _expected(name: str) -> str:
    """Say what one setting takes, with an example."""
    field = Settings.model_fields[name]
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        *words, last = [word.value for word in kind]
        return f"must be {', '.join(words)} or {last}"
    if kind not in {int, float}:
        return f"must be plain, such as {field.examples[0]}" if field.examples else "must be a text"
    example = field.default or 100
    return (
        f"must be {'a whole number' if kind is int else 'a number'}{_bounds(field.metadata)}, "
        f"such as {example:g}"
    )


def _bounds(rules: Iterable[object]) -> str:
    """Say between which numbers a setting is."""
    words = {"ge": "from", "gt": "more than", "le": "to", "lt": "less than"}
    bounds = [
        f" {word} {getattr(rule, sign):,}"
        for rule in rules
        for sign, word in words.items()
        if getattr(rule, sign, None) is not None
    ]
    if len(bounds) == 1:
        return bounds[0].replace(" from ", " of at least ")
    return (
        "".join(bounds).replace(" to ", ", at most ") if " more" in bounds[0] else "".join(bounds)
    )
