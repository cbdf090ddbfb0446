"""Sentences in the files of mails, which are no Jinja templates: ``{% trans %}...{% endtrans %}``.

The tags between them belong to the merge language and stay as they are, also in the translation.
"""

import re
from collections.abc import Iterator
from typing import Final

from mailprefs.languages.language import Language

_MARKED: Final = re.compile(r"\{% trans %\}(.*?)\{% endtrans %\}", re.DOTALL)


def translated(source: str, language: Language) -> str:
    """Give the source of a mail with its marked sentences in a language."""
    return _MARKED.sub(lambda found: language.sentences.gettext(_one_line(found[1])), source)


def marked(source: str) -> Iterator[tuple[int, str]]:
    """Give the marked sentences of a mail's source, each with the line it begins on."""
    for found in _MARKED.finditer(source):
        yield source.count("\n", 0, found.start()) + 1, _one_line(found[1])


def _one_line(text: str) -> str:
    return " ".join(text.split())
