"""The files under ``templates/email/<name>``: subject.txt, body.txt and body.mjml of each mail."""

import re
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from mailprefs import settings
from mailprefs.errors import NotFound
from mailprefs.languages import ENGLISH, RIGHT_TO_LEFT, direction, find, marked, translated
from mailprefs.policy import MessageClass

LAYOUTS: Final = {
    MessageClass.PROMOTIONAL: "newsletter",
    MessageClass.ADMINISTRATIVE: "notice",
}
"""The layout around every Markdown body, by class."""

_FOOTER_BEGINS, _FOOTER_ENDS = "<!-- footer -->", "<!-- /footer -->"
# What stands in a layout only for messages that have a public page.
_OF_PUBLIC: Final = re.compile(r"<!-- public page -->(.*?)<!-- /public page -->", re.DOTALL)


class Template(NamedTuple):
    """One mail's three sources, as they lie on disk.

    A *layout* is a whole ``mjml`` document with ``{{ body }}`` in it; any other mail's MJML is what
    stands in the layout's column.
    """

    name: str
    subject: str
    text: str
    mjml: str

    @property
    def is_layout(self) -> bool:
        """Tell whether bodies are put into this template."""
        return self.name in LAYOUTS.values()

    @property
    def footer(self) -> str:
        """Give a layout's footer sections, for messages that bring their own design."""
        _, _, after = self.mjml.partition(_FOOTER_BEGINS)
        return after.partition(_FOOTER_ENDS)[0]


def names() -> list[str]:
    """List all templates in alphabetical order."""
    return sorted(path.name for path in _folder().iterdir() if path.is_dir())


@cache
def load(name: str, language: str = ENGLISH.tag) -> Template:
    """Give one template in a language (BCP 47), or in English; the files are read once for each.

    ``{{ direction }}`` and ``{{ start }}`` in it are HTML's dir, and the side where lines begin.

    :raises NotFound: if there is no such folder, or a file is missing in it.
    """
    folder = _folder() / name
    if Path(name).name != name or not folder.is_dir():
        raise NotFound(f"There is no mail template {name}; there are {', '.join(names())}.")
    return Template(
        name,
        _spoken(_read(folder, "subject.txt").strip(), language),
        _spoken(_read(folder, "body.txt"), language),
        _spoken(_read(folder, "body.mjml"), language),
    )


def fitted(source: str, *, has_public_page: bool) -> str:
    """Give a layout's source with what leads to a message's public page, or without it."""
    return _OF_PUBLIC.sub(r"\1" if has_public_page else "", source)


@cache
def is_translated(name: str) -> bool:
    """Tell whether a mail has sentences for translation; one without is in English for everybody.

    :raises NotFound: if there is no such mail.
    """
    return any(marked(_read(_folder() / load(name).name, "body.txt")))


def _spoken(source: str, language: str) -> str:
    """Give a source with its sentences in a language, and its lines as that one has them."""
    said = translated(source, find(language) or ENGLISH)
    from_right = direction(language) == RIGHT_TO_LEFT
    said = said.replace("{{ direction }}", direction(language))
    return said.replace("{{ start }}", "right" if from_right else "left")


def _folder() -> Path:
    return settings.templates_dir() / "email"


def _read(folder: Path, file: str) -> str:
    try:
        return (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(
            f"The mail template {folder.name} has no {file}; each one has subject.txt, body.txt "
            "and body.mjml."
        ) from None
