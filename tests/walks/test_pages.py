"""Walks over every page template: nothing inline, nothing from elsewhere, a language on each."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from mailprefs.app import build, create_app
from mailprefs.settings import Settings, templates_dir
from mailprefs.web.pages import STATIC_FOLDER
from tests.web.conftest import ADDRESS_KEY, TOKEN_KEY

# The sandbox's mailbox is its own program, on loopback only; mails are walked with their rules.
PAGES = sorted(
    path.relative_to(templates_dir()).as_posix()
    for folder in ("public", "staff")
    for path in (templates_dir() / folder).glob("*.html")
)
WHOLE = [page for page in PAGES if not Path(page).name.startswith("_")]


def source(page: str) -> str:
    return (templates_dir() / page).read_text()


def test_there_are_pages_to_walk() -> None:
    assert "public/unsubscribe.html" in PAGES
    assert len(WHOLE) >= 8


def test_every_page_compiles_as_the_application_reads_it(tmp_path: Path) -> None:
    parts = build(
        Settings(
            data_dir=tmp_path, token_keys=SecretStr(TOKEN_KEY), address_key=SecretStr(ADDRESS_KEY)
        )
    )
    environment = create_app(parts).jinja_env
    for page in PAGES:
        assert environment.get_template(page).name == page
    parts.spool.close()
    parts.db.close()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_holds_no_script_and_no_style_of_its_own(page: str) -> None:
    text = source(page)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
    assert "javascript:" not in text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_nothing_from_elsewhere(page: str) -> None:
    loaded = re.findall(
        r"""<(?:link|script|img|iframe|source|object)[^>]*?(?:href|src|data)="([^"]*)""",
        source(page),
    )
    assert [address for address in loaded if not address.startswith("{{")] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("public/")])
def test_recipients_pages_need_no_script_at_all(page: str) -> None:
    assert "<script" not in source(page)


@pytest.mark.parametrize("page", WHOLE)
def test_a_page_has_a_language_a_title_and_one_heading(page: str) -> None:
    text = source(page)
    if page.endswith("/base.html"):
        assert (
            '<html lang="{{ language.tag }}" dir="{{ language.direction }}">' in text
            or '<html lang="en">' in text
        )
        assert 'name="viewport"' in text
    else:
        assert "{% extends" in text
        assert "{% block title %}" in text


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_marked_as_safe_by_hand(page: str) -> None:
    """What is shown is escaped; HTML of ours comes as Markup from the view that made it."""
    assert not re.search(r"\|\s*safe\b|autoescape false", source(page))


@pytest.mark.parametrize("sheet", sorted(STATIC_FOLDER.glob("*.css")), ids=lambda path: path.name)
def test_a_stylesheet_loads_nothing(sheet: Path) -> None:
    assert not re.search(r"@import|url\((?!['\"]?data:)", sheet.read_text())
