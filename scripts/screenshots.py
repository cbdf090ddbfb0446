"""Make the pictures of the README: play the demo, then photograph its pages with Chromium.

    ./run screenshots

Needs Debian's Chromium (scripts/debian-packages installs it). The pictures go to docs/pictures.
"""

import sys
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from demo import run as demo
from demo.installation import Installation

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = ROOT / "docs" / "pictures"
CHROMIUM: Final = "/usr/bin/chromium"
# Chromium's sandbox can't run as root, as in CI; the pages are our own.
FLAGS: Final = ("--no-sandbox", "--disable-background-networking", "--no-first-run")


class Shot(NamedTuple):
    """One picture: its name, the page, and how wide the window is."""

    name: str
    address: str
    width: int = 1280
    height: int = 860


def main() -> int:
    """Play the demo and take every picture."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with Installation(ROOT / ".demo") as installation:
        if not demo.play(installation):
            return 1
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            _take(browser, installation)
            browser.close()
    return 0


def _take(browser: Browser, installation: Installation) -> None:
    context = browser.new_context(device_scale_factor=1)
    page = context.new_page()
    page.goto(installation.call("staff", "link", demo.MARTA))
    page.get_by_role("button").first.click()
    installation.call("report", "1")  # releases its first numbers
    message = next(
        one for one in demo.mailbox(installation) if one["message_class"] == "promotional"
    )
    unsubscribe = message["headers"]["List-Unsubscribe"].split(">")[0].strip("<")
    preferences = message["html"].split('href="')
    preference = next(part for part in preferences if "/p/" in part).split('"')[0]
    for shot in (
        Shot("campaigns", f"{installation.url}/staff/campaigns"),
        Shot("campaign", f"{installation.url}/staff/campaigns/1", height=1400),
        Shot("report", f"{installation.url}/staff/reports/1", height=1700),
        Shot("mailbox", f"{installation.mailbox}/mailbox"),
        Shot("newsletter", f"{installation.mailbox}/mailbox/{message['id']}/html", 720, 1200),
        Shot("unsubscribe", unsubscribe, 430, 860),
        Shot("preferences", preference, 430, 1100),
    ):
        _shoot(page, shot)


def _shoot(page: Page, shot: Shot) -> None:
    page.set_viewport_size({"width": shot.width, "height": shot.height})
    answer = page.goto(shot.address)
    if answer is None or not answer.ok:
        msg = f"The page for the picture {shot.name} doesn't answer as it should."
        raise RuntimeError(msg)
    page.screenshot(path=PICTURES / f"{shot.name}.png")


if __name__ == "__main__":
    sys.exit(main())
