"""How fetches of the pixel are judged: why an example is what it is, and Apple's list."""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import click

from mailprefs import relays
from mailprefs.cli import console
from mailprefs.geo import Countries
from mailprefs.opens.judging import TOO_FAST
from mailprefs.settings import load
from mailprefs.times import written
from mailprefs.useragents import (
    RULESET,
    Client,
    OpenKind,
    Reason,
    Step,
    Verdict,
    classify,
    steps,
)
from mailprefs.web.fetches import BURST_PEOPLE, BURST_SECONDS, of_apple

_ASKED = {
    Reason.NOT_TOLD: "Does it name a program at all?",
    Reason.APPLE_PRIVACY: "Is it the name of Apple's Mail Privacy Protection?",
    Reason.GMAIL_PREFETCH: "Is it the name under which Gmail fetches ahead?",
    Reason.IMAGE_PROXY: "Is it the image proxy of a mail provider?",
    Reason.SCANNER_NAMED: "Does it name a mail security product?",
    Reason.UNFURLER: "Does it make previews of links?",
    Reason.HTTP_LIBRARY: "Is it a programming library, or a browser without a person?",
    Reason.AMBIGUOUS: "Do devices fetch under this name with and without a person?",
    Reason.MAIL_CLIENT: "Does it name a mail program?",
    Reason.CRAWLER: "Is it written as names of crawlers are?",
    Reason.CRAWLER_LISTED: "Is it on the public list of crawlers?",
    Reason.BROWSER: "Nothing speaks against a person.",
}


class _Line(NamedTuple):
    """One rule that was asked: the question, and the answer in words."""

    question: str
    answer: str
    decides: bool


@click.group("opens")
def opens_group() -> None:
    """See how fetches of the pixel are judged, and load Apple's list of addresses."""


@opens_group.command("apple-list")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@console.type_json
def apple_list(file: Path, *, as_json: bool) -> None:
    """Load Apple's list of relay addresses.

    Apple publishes it at https://mask-api.icloud.com/egress-ip-ranges.csv. Every line is checked
    first. Load it anew each month: after 30 days it isn't believed any more. Running processes take
    it within half a minute.
    """
    console.require_installation()
    made = relays.load(file, load().data_dir, now=console.now())
    until = made.loaded_at + relays.FRESH
    document = {
        "networks": made.networks,
        "ranges": len(made.v4.first) + len(made.v6.first),
        "fresh_until": until.isoformat(),
    }

    def show() -> None:
        click.echo(f"Known until {written(until)}: {made.networks:,} networks of Apple's.")

    console.answer(document, as_json=as_json, show=show)


@opens_group.command("explain")
@click.argument("user_agent")
@click.option("--ip", metavar="ADDRESS", help="Where the fetch came from.")
@click.option(
    "--after", type=click.FloatRange(min=0), metavar="SECONDS", help="Seconds after the sending."
)
@console.type_json
def explain(user_agent: str, ip: str | None, after: float | None, *, as_json: bool) -> None:
    """Show why a user agent is judged as it is.

    Rule by rule, in their order, as for a fetch under USER_AGENT. Nothing is recorded, and
    the address is forgotten when the command ends.
    """
    asked = steps(user_agent)
    lines = [_of_step(one, is_last=one is asked[-1]) for one in asked]
    verdict, more = _by_circumstance(classify(user_agent), _packed(ip), after)
    if any(one.decides for one in more):
        lines = [one._replace(decides=False) for one in lines]
    country = _country(verdict, ip)
    document = {
        "kind": verdict.kind.label,
        "reason": verdict.reason.name.lower(),
        "because": verdict.reason.told,
        "confidence": verdict.reason.confidence.value,
        "client": verdict.client.label,
        "country": country,
        "ruleset": RULESET,
        "rules": [one._asdict() for one in (*lines, *more)],
    }
    console.answer(document, as_json=as_json, show=lambda: _show(document))


def _of_step(step: Step, *, is_last: bool) -> _Line:
    found = f"yes: “{step.found}”" if step.found else "yes" if step.found is not None else "no"
    if step.reason is Reason.NOT_TOLD and is_last:
        found = "no"
    return _Line(_ASKED[step.reason], found if step.reason is not Reason.BROWSER else "", is_last)


def _by_circumstance(
    verdict: Verdict, packed: bytes | None, after: float | None
) -> tuple[Verdict, list[_Line]]:
    """Ask what hangs on the address and the time, and give the verdict that follows."""
    lines = []
    if verdict.reason is Reason.APPLE_PRIVACY:
        is_relay = _relays().hold(packed) if packed else None
        answer = {True: "yes", False: "no", None: "unknown: no address, or no fresh list"}[is_relay]
        verdict = of_apple(verdict, is_relay=is_relay)
        lines.append(
            _Line("Does it come from one of Apple's addresses?", answer, is_relay is not None)
        )
    if verdict.kind.is_human_plausible and after is not None:
        is_soon = timedelta(seconds=after) < TOO_FAST
        if is_soon:
            verdict = Verdict(OpenKind.SCANNER, Reason.TOO_FAST, Client.UNKNOWN)
        question = f"Was it within {TOO_FAST.total_seconds():g} seconds of the sending?"
        lines.append(_Line(question, "yes" if is_soon else "no", is_soon))
    if verdict.kind is OpenKind.DIRECT:
        question = (
            f"Did one place fetch {BURST_PEOPLE} people's pictures of one campaign within "
            f"{BURST_SECONDS:g} seconds?"
        )
        lines.append(_Line(question, "not of one example", False))
    return verdict, lines


def _country(verdict: Verdict, ip: str | None) -> str | None:
    """Give the country that would be recorded: of a direct fetch only, from no relay."""
    settings = load()
    packed = _packed(ip)
    if ip is None or packed is None or settings.country_db is None:
        return None
    if verdict.kind is not OpenKind.DIRECT or _relays().hold(packed):
        return None
    return Countries(settings.country_db, console.now).of(ip)


def _relays() -> relays.Relays:
    return relays.Relays(load().data_dir, console.now)


def _packed(ip: str | None) -> bytes | None:
    if ip is None:
        return None
    try:
        return ip_address(ip).packed
    except ValueError:
        raise click.BadParameter("must be an IP address", param_hint="--ip") from None


def _show(document: dict[str, Any]) -> None:
    for number, one in enumerate(document["rules"], 1):
        mark = click.style(">", fg="green", bold=True) if one["decides"] else " "
        question = click.style(one["question"], bold=one["decides"])
        click.echo(f"{mark} {number:>2}  {question} {one['answer']}".rstrip())
    click.echo()
    click.secho(f"{document['kind'].capitalize()}: {document['because']}.", bold=True)
    beside = [f"Confidence {document['confidence']}", f"client {document['client']}"]
    beside.append(f"country {document['country'] or 'unknown'}")
    click.echo(f"{', '.join(beside)}, ruleset {document['ruleset']}.")
