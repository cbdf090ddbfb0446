"""In which language a recipient's page speaks, and its sentences.

Asked for in the address (``?lang=``), else the person's own, else what the browser asks for. A form
carries the language in its address: what a person is asked and what they are told after is in one
language, and the words that are kept as proof are those that were shown.
"""

from typing import Final
from urllib.parse import urlencode

from flask import Flask, g, request

from mailprefs import languages
from mailprefs.languages import Language

ASKED: Final = "lang"
SAID: Final = "said"
"""Where a page says what happened; a form leads there, so that focus does."""
_LONGEST: Final = 500
"""Characters of what else an address asks for that are kept in the links to other languages."""
_KEPT: Final = "mailprefs_language"
_TURNED: Final = "mailprefs_language_turned"


def install(app: Flask) -> None:
    """Let the templates of *app* speak."""
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        _sentence, _form_for, newstyle=True
    )
    environment.globals.update(
        form_to=form_to, link_to=link_to, said_in=said_in, languages=languages.every
    )
    app.context_processor(lambda: {"language": language()})


def language() -> Language:
    """Give the language of the present page."""
    asked = g.get(_TURNED) or _asked()
    if asked is not None:
        found: Language = asked
        return found
    if _KEPT not in g:
        speak_to(None)
    kept: Language = g.get(_KEPT)
    return kept


def speak_to(own: str | None) -> None:
    """Speak a person's own language from here on, unless the address asks for another one."""
    setattr(g, _KEPT, languages.best(own, request.accept_languages))


def turn_to(chosen: Language) -> None:
    """Speak a language that was chosen just now, whatever the address had asked for."""
    setattr(g, _TURNED, chosen)


def gettext(message: str, **values: object) -> str:
    """Give *message* in the language of the present page, with *values* in it."""
    return language().gettext(message, **values)


def form_to(path: str) -> str:
    """Give where a form goes that was shown in the present language."""
    return f"{path}?{ASKED}={language().tag}#{SAID}"


def link_to(path: str) -> str:
    """Give a page's address; a language that was asked for stays asked for."""
    asked = g.get(_TURNED) or _asked()
    return path if asked is None else f"{path}?{ASKED}={asked.tag}"


def said_in(other: Language, path: str | None = None) -> str:
    """Give where the present page is said in *other*: at *path*, or at its own address.

    What else that address asks for, such as a topic, stays asked for.
    """
    kept = request.args.items(multi=True) if path is None else ()
    asked = [(name, value) for name, value in kept if name != ASKED]
    if sum(len(name) + len(value) for name, value in asked) > _LONGEST:
        asked = []
    return f"{path or ''}?{urlencode([*asked, (ASKED, other.tag)])}"


def _sentence(message: str) -> str:
    """Give a sentence for a template, which puts the values in itself and escapes them."""
    return language().sentences.gettext(message)


def _form_for(one: str, many: str, n: int) -> str:
    return language().sentences.ngettext(one, many, n)


def _asked() -> Language | None:
    return languages.find(request.args.get(ASKED))
