"""An author's source becomes the subject, text and HTML that all its readers share.

A Markdown body is put into the layout of its class. An MJML body brings its own design,
and may bring its own footer: one with ``{{ unsubscribe_url }}`` (administrative: ``{{ reason }}``)
must hold all that its class needs, one without gets the layout's footer at its end.
"""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from html import escape
from typing import Final, NamedTuple

from mailprefs.errors import BadInput, BadTemplate
from mailprefs.languages import RIGHT_TO_LEFT, direction, find
from mailprefs.policy import MessageClass
from mailprefs.rendering import layouts, markdown, markup, mjml, text
from mailprefs.rendering import letterhead as letterheads
from mailprefs.rendering.content import MOST_BYTES, Content
from mailprefs.rendering.letterhead import NEEDED, UNSUBSCRIBE, Letterhead
from mailprefs.rendering.merge import Kind, Reading, Vocabulary
from mailprefs.rendering.parts import Finisher, Part

LONGEST_SOURCE: Final = 500_000
"""Characters of a body's source."""
LONGEST_TAG: Final = 16
"""Characters of a language's tag, as contents are stored with it."""
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MJML_LANGUAGE = re.compile(r"<mjml\b[^>]*?\slang=[\"']([^\"'{}]*)[\"']")
_BODY_ENDS = re.compile(r"</mj-body\s*>")


class Source(NamedTuple):
    """What an author wrote: the subject, and a body in ``markdown`` or ``mjml``."""

    subject: str
    body: str
    format: str = "markdown"


def compose(
    source: Source,
    letterhead: Letterhead,
    *,
    attributes: Collection[str] | None = None,
    mark: str | None = None,
) -> Content:
    """Give the content of one message.

    Its language is what the source says (``language: de`` above Markdown, ``<mjml lang="de">``),
    else the letterhead's; what mailprefs adds is in the same one. *attributes* are the fields that
    exist beside first_name, last_name and email; None allows any name. *mark* is random
    where not given, and has to be given by tests only.

    :raises BadTemplate: for the first rule of the merge language, of Markdown, of MJML or of the
        message class that the source breaks, with the line and what to do.
    :raises BadInput: for a source in an unknown format, or a letterhead without its purpose.
    """
    if len(source.body) > LONGEST_SOURCE:
        raise BadTemplate(
            f"The body has {len(source.body)} characters; more than {LONGEST_SOURCE} are not read. "
            "Link to pictures instead of putting them in."
        )
    composer = _Composer(replace(letterhead, language=_language(source, letterhead)), attributes)
    subject = composer.subject(source.subject)
    if source.format == "markdown":
        plain, html = composer.from_markdown(source)
    elif source.format == "mjml":
        plain, html = composer.from_mjml(source.body)
    else:
        raise BadInput(f"A body is written in markdown or mjml, not in {source.format!r}.")
    return composer.finish(subject, plain, html, mark)


def compose_template(
    name: str, letterhead: Letterhead, *, links: Collection[str] = (), mark: str | None = None
) -> Content:
    """Give the content of a system mail under ``templates/email``, in the layout of its class.

    *links* are addresses of this mail's own, such as ``confirm_url``, that stand in a person's
    attributes under that name.

    :raises NotFound: if there is no such mail.
    :raises BadTemplate: if its files break a rule.
    """
    template = layouts.load(name, letterhead.language)
    composer = _Composer(letterhead, None, links)
    subject = composer.subject(template.subject)
    plain, html = composer.from_template(template)
    return composer.finish(subject, plain, html, mark)


class _Composer:
    """Composes one content: reads its parts, puts them into the layout, finishes them."""

    def __init__(
        self,
        letterhead: Letterhead,
        attributes: Collection[str] | None,
        links: Collection[str] = (),
    ) -> None:
        self._language = letterhead.language
        self._class = letterhead.message_class
        self._layout = layouts.load(layouts.LAYOUTS[self._class], letterhead.language)
        self._reading = Reading()
        self._author = letterheads.vocabulary(letterhead, attributes, links)
        self._facts = self._author.constants

    def subject(self, source: str) -> str:
        """Give the subject with marks."""
        if not source.strip():
            raise BadTemplate("The subject is empty; write what the message is about.")
        if any(ord(character) < 32 for character in source.strip()):
            raise BadTemplate("The subject has a line break or tab in it; write it on one line.")
        reason = "a subject shows no addresses; put the link into the body."
        vocabulary = letterheads.without_links(self._author, self._author.links, reason)
        return self._plain(self._reading.read(source.strip(), "the subject", vocabulary))

    def from_markdown(self, source: Source) -> tuple[str, str]:
        """Give the text and the HTML of a Markdown body in the layout of its class."""
        front, body = markdown.split_front_matter(source.body)
        preheader = self._reading.read(front.get("preheader", ""), "the preheader", self._author)
        vocabulary = self._author
        if self._class is MessageClass.PROMOTIONAL:
            reason = "the layout's footer carries the unsubscribe link; take this one out."
            vocabulary = letterheads.without_links(vocabulary, [UNSUBSCRIBE], reason)
        if not body.strip():
            raise BadTemplate("The body is empty; write the message.")
        written = markdown.write(self._reading.read(body, "the body", vocabulary))
        from_right = direction(self._language) == RIGHT_TO_LEFT
        rows = markup.mirrored(written.mjml) if from_right else written.mjml
        html = self._in_layout(rows, escape(preheader, quote=False))
        return self._text_in_layout(self._text(written.html)), html

    def from_mjml(self, body: str) -> tuple[str, str]:
        """Give the text and the HTML of an MJML body, with the layout's footer if it has none."""
        before = self._reading.uses.copy()
        checked = mjml.check(self._reading.read(body, "the body", self._author))
        uses = self._reading.uses - before
        if uses[UNSUBSCRIBE] > 1:
            raise BadTemplate(
                f"The body has {uses[UNSUBSCRIBE]} unsubscribe links; one is enough, and a second "
                "one is pressed by mistake."
            )
        has_footer = self._has_footer(uses)
        document = _with_language(checked, self._language)
        html = mjml.to_html(self._escaped(document))
        plain = self._text(html)
        if has_footer:
            return plain, html
        footer = self._layout_marks(self._layout.footer)
        document = _BODY_ENDS.sub(lambda end: footer + end[0], document)
        return self._text_in_layout(plain), mjml.to_html(self._escaped(document))

    def from_template(self, template: layouts.Template) -> tuple[str, str]:
        """Give the text and the HTML of a system mail, from a file for each."""
        place = f"templates/email/{template.name}/body"
        rows = self._reading.read(template.mjml, f"{place}.mjml", self._author)
        plain = self._plain(self._reading.read(template.text, f"{place}.txt", self._author))
        return self._text_in_layout(_wrapped(plain)), self._in_layout(rows, "")

    def finish(self, subject: str, plain: str, html: str, mark: str | None) -> Content:
        """Give the content, its marks turned into tags."""
        markup.check(html, self._reading)
        mark = mark or _new_mark(subject + plain + html)
        finisher = Finisher(self._reading, mark)
        subject = finisher.finish(subject, Part.TEXT)
        plain = finisher.finish(plain, Part.TEXT)
        html = finisher.finish(html, Part.HTML)
        pixel_tag = f"-{mark}_PIXEL-" if self._class.may_be_measured else ""
        content = Content(
            message_class=self._class,
            language=self._language,
            mark=mark,
            subject=subject,
            text=plain,
            html=html.replace("</body>", f"{pixel_tag}</body>"),
            slots=finisher.slots(subject, plain, html),
            conditionals=tuple(finisher.conditionals),
            pixel_tag=pixel_tag,
            required=tuple(self._reading.required),
            holds=frozenset(self._shown()),
        )
        _check_weight(content)
        return content

    def _shown(self) -> list[str]:
        """List the links and facts that the message shows; a blank fact is not shown."""
        return [
            tag.name
            for tag in self._reading.tags
            if tag.kind is Kind.LINK
            or (tag.kind is Kind.CONSTANT and self._facts.get(tag.name, "").strip())
        ]

    def _has_footer(self, uses: Mapping[str, int]) -> bool:
        """Tell whether a body brings a footer of its own; refuse one that lacks something."""
        first, *others = NEEDED[self._class]
        if not uses[first]:
            return False
        missing = ", ".join(f"{{{{ {name} }}}}" for name in others if not uses[name])
        if missing:
            raise BadTemplate(
                f"The body's own footer lacks {missing}; add what is missing, or take "
                f"{{{{ {first} }}}} out and get the standard footer."
            )
        return True

    def _in_layout(self, rows: str, preheader: str) -> str:
        marked = self._layout_marks(self._layout.mjml)
        marked = self._reading.insert(marked, "preheader", preheader)
        return mjml.to_html(self._escaped(self._reading.insert(marked, "body", rows)))

    def _text_in_layout(self, body: str) -> str:
        marked = self._plain(self._layout_marks(self._layout.text))
        return self._reading.insert(_wrapped(marked), "body", body)

    def _layout_marks(self, source: str) -> str:
        facts = {**self._facts, "body": "", "preheader": ""}
        vocabulary = Vocabulary(facts, self._author.links, {}, ())
        source = layouts.fitted(source, has_public_page=letterheads.PUBLIC_PAGE in facts)
        return self._reading.read(source, f"templates/email/{self._layout.name}", vocabulary)

    def _text(self, html: str) -> str:
        return text.from_html(self._escaped(html))

    def _escaped(self, marked: str) -> str:
        return self._reading.fill(marked, self._facts, escape)

    def _plain(self, marked: str) -> str:
        return self._reading.fill(marked, self._facts, str)


def _with_language(document: str, language: str) -> str:
    """Say language and direction of a document that doesn't say them, for screen readers."""
    head, found, rest = document.partition(">")
    for name, value in (("lang", language), ("dir", direction(language))):
        if f" {name}=" not in head:
            head += f' {name}="{escape(value)}"'
    return head + found + rest


def _language(source: Source, letterhead: Letterhead) -> str:
    """Give the tag of the language that a source says it is in, else the letterhead's.

    :raises BadTemplate: for one that can't be a tag.
    """
    if source.format == "mjml":
        found = _MJML_LANGUAGE.search(source.body)
        said = found[1] if found else ""
    else:
        said = markdown.split_front_matter(source.body)[0].get("language", "")
    if not said:
        return letterhead.language
    if len(said) > LONGEST_TAG or not _TAG.fullmatch(said):
        raise BadTemplate(
            f"The body says that it is in the language {said[:40]!r}; write a code such as de, fr "
            "or pt-BR."
        )
    known = find(said)
    return known.tag if known and known.tag.casefold() == said.casefold() else said


def _wrapped(marked: str) -> str:
    """Wrap the long lines of a text that came from a file."""
    return "\n".join(
        text.wrap(line) if len(line) > text.WIDTH else line for line in marked.splitlines()
    )


def _new_mark(marked: str) -> str:
    """Give a random word that stands nowhere in the message: 40 bits, new for each content."""
    while True:
        mark = "mp" + secrets.token_hex(5)
        if mark not in marked:
            return mark


def _check_weight(content: Content) -> None:
    """Refuse a content with more values per person than the vendor takes."""
    size = content.largest_substitutions()
    if size > MOST_BYTES:
        raise BadTemplate(
            f"The fields and conditional blocks of this message come to {size} bytes a person at "
            f"most, and the vendor takes {MOST_BYTES}; use fewer or shorter ones, or send a "
            "campaign to each group of people."
        )
