"""Report pages in Debian's Chromium: for everybody, in both widths, by day and by night."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from mailprefs.web.parts import Parts
from tests.reports.house import furnish
from tests.web.staff.test_in_browser import (
    PHONE,
    WIDE,
    check,
    database_url,
    open_page,
    settings,
    site,
)

__all__ = ["database_url", "open_page", "settings", "site"]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_reports_can_be_read_by_everybody(
    open_page: Callable[..., Page],
    parts: Parts,
    *,
    dark: bool,
    size: dict[str, int],
) -> None:
    first, second, _, few, notice = furnish(parts.db, parts.clock())
    page = open_page(dark=dark, size=size)
    for path in (
        "/staff/reports",
        f"/staff/reports/{first}",
        f"/staff/reports/{few}",
        f"/staff/reports/{notice}",
        "/staff/reports/topics",
        f"/staff/reports/compare?campaign={first}&campaign={second}",
        "/staff/reports/how",
    ):
        page.goto(path)
        check(page)
        # Pictures that the page's own policy refused, or that weren't drawn, have no width.
        widths = page.evaluate("[...document.images].map((one) => one.naturalWidth)")
        assert all(widths), path
