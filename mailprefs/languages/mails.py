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


def marked(source: str) -> Iterator[str]:
    """Give the marked sentences of a mail's source."""
    return (_one_line(found[1]) for found in _MARKED.finditer(source))


def _one_line(text: str) -> str:
    return " ".join(text.split())
