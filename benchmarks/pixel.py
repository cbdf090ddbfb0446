"""How close the pixel comes to a web server that does nothing but send a constant picture.

Measured over loopback with wrk: the server on one processor, wrk on the other. The limit is nginx's
``empty_gif`` with its access log, one line written for each request: it, too, leaves a trace of
each. Ours checks the link, classifies the reader and writes a record that survives kill -9. Beside
it, the way that is usual: a Flask view with the same spool, and one with an INSERT committed before
it answers. After each round what was recorded is counted; not one answer may be missing.

    benchmarks/pixel.py [--quick] [--rounds N] [--seconds S] [--only NAME]
"""

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psycopg

from benchmarks.measure.postgresql import fresh_database, postgresql
from benchmarks.measure.runs import options, report, say
from benchmarks.measure.servers import Running, nginx, python
from benchmarks.measure.wrk import CONNECTIONS, Client, Load
from mailprefs import links, spool

FLOORS = {"nginx_log": 0.60, "flask_spool": 8.0, "flask_insert": 20.0}
MOST_P99 = 2.0
TOKENS = 100_000
_CAMPAIGN = 41
_FIRST_PORT = 18_400
_KEY = sha256(b"the token key of pixels that nobody is sent").hexdigest()
_CHILD = Path(__file__).with_name("measure") / "pixel_child.py"
_TABLE = """
CREATE TABLE hits (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, delivery bigint NOT NULL,
    at timestamptz NOT NULL, kind smallint NOT NULL, reason smallint NOT NULL,
    client smallint NOT NULL
)
"""


class Variant(NamedTuple):
    """A server, and how many hits it has on record, if it keeps any."""

    running: Running
    recorded: Callable[[], int] | None


class Round(NamedTuple):
    """One round of one variant: what wrk saw, and microseconds of processor for each request."""

    load: Load
    cpu: float


def agents() -> list[str]:
    """Give user agents in the mixture in which they open mails: proxies, clients, browsers."""
    systems = (
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
    )
    chrome = [
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 "
        "Safari/537.36"
        for system in systems
        for v in range(136, 143)
    ]
    iphone = [
        f"Mozilla/5.0 (iPhone; CPU iPhone OS {v}_{w} like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
        "like Gecko) Mobile/15E148"
        for v in (17, 18, 26)
        for w in range(5)
    ]
    outlook = [
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook "
        f"16.0.{v}; ms-office)"
        for v in range(17_000, 17_900, 100)
    ]
    thunderbird = [
        f"Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Thunderbird/{v}.0"
        for v in range(128, 146, 2)
    ]
    gmail = (
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
    )
    yahoo = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
    single = chrome + iphone + outlook + thunderbird
    often = ["Mozilla/5.0", gmail] * (len(single) // 2) + [yahoo] * 3
    found = single + often
    random.Random(20_270_328).shuffle(found)
    return found


def paths() -> list[str]:
    """Give the paths of as many pixels as people got one."""
    signer = links.Links(links.parse_keys(_KEY))
    return [signer.open_path(_CAMPAIGN << 32 | ordinal) for ordinal in range(1, TOKENS + 1)]


def in_spool(directory: Path) -> int:
    """Count the records of a spool, each read and checked as the ingest does."""
    total = 0
    for segment in spool.segments(directory):
        records, after = spool.read(segment.path, 0, segment.size // 32)
        while records:
            total += len(records)
            records, after = spool.read(segment.path, after, segment.size // 32)
    return total


@contextmanager
def variants(folder: Path, core: int, server_url: str) -> Iterator[dict[str, Variant]]:
    """Run all servers, idle until they are asked."""
    url = fresh_database(server_url, "hits")
    with psycopg.connect(url, autocommit=True) as connection, ExitStack() as stack:
        connection.execute(_TABLE)
        found: dict[str, Variant] = {}
        for number, (name, logs) in enumerate((("nginx", False), ("nginx_log", True))):
            one = nginx(folder / name, _FIRST_PORT + number, core, logs=logs)
            found[name] = Variant(stack.enter_context(one), None)
        for number, name in enumerate(("ours", "flask_spool", "flask_insert"), start=len(found)):
            environment = _environment(folder / name)
            port = _FIRST_PORT + number
            one = python(_CHILD, [name, url], port, core, environment)
            counted = _rows(connection) if name == "flask_insert" else _hits(folder / name)
            found[name] = Variant(stack.enter_context(one), counted)
        yield found


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("MAILPREFS_")},
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "MAILPREFS_DATA_DIR": str(folder),
        "MAILPREFS_TOKEN_KEYS": _KEY,
        "MAILPREFS_ADDRESS_KEY": sha256(b"the address key of nobody at all").hexdigest(),
    }


def _hits(folder: Path) -> Callable[[], int]:
    return lambda: in_spool(folder / "spool")


def _rows(connection: "psycopg.Connection[tuple[int, ...]]") -> Callable[[], int]:
    def count() -> int:
        row = connection.execute("SELECT count(*) FROM hits").fetchone()
        return row[0] if row else 0

    return count


def play(name: str, one: Variant, client: Client, seconds: int) -> Round:
    """Measure one variant once; stop unless every answer is on record, and not one more than asked.

    wrk doesn't count the answers that come after its time, and asks once more where one has come.
    """
    before = one.recorded() if one.recorded else 0
    cpu = one.running.cpu_seconds()
    load = client.ask(one.running.port, seconds)
    cpu = one.running.cpu_seconds() - cpu
    if one.recorded:
        added = one.recorded() - before
        if not load.answers <= added <= load.answers + 2 * CONNECTIONS:
            raise SystemExit(f"{name}: {load.answers} answers, and {added} on record.")
    return Round(load, cpu / load.answers * 1e6)


def measure(
    found: Mapping[str, Variant], client: Client, rounds: int, seconds: int
) -> dict[str, list[Round]]:
    """Measure all variants in each round, in an order drawn anew."""
    draw = random.Random()
    results: dict[str, list[Round]] = {name: [] for name in found}
    for one in found.values():
        client.ask(one.running.port, 1)  # imports, caches and connections are made
    for number in range(1, rounds + 1):
        for name in draw.sample(list(found), len(found)):
            got = play(name, found[name], client, seconds)
            results[name].append(got)
            say(
                f"  round {number} of {rounds}  {name:<13} {got.load.rate:9,.0f} /s"
                f"  p50 {got.load.p50:6.2f} ms  p99 {got.load.p99:6.2f} ms"
                f"  {got.cpu:6.1f} us of processor a request"
            )
    return results


def main() -> int:
    """Measure; give 1 if a limit is missed."""
    parser = options("Measure the pixel.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all variants (3)")
    parser.add_argument("--seconds", type=int, help="of each measurement (5; quick: 2)")
    parser.add_argument("--only", action="append", help="only this variant; again for more")
    chosen = parser.parse_args()
    seconds = chosen.seconds or (2 if chosen.quick else 5)
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("This needs two processors: one for the server, one for wrk.")
    with tempfile.TemporaryDirectory(prefix="mailprefs-pixel-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # a PostgreSQL that root starts belongs to somebody else
        client = Client(folder, paths(), agents(), cores[1])
        os.sched_setaffinity(0, {cores[0]})  # PostgreSQL is a part of the server
        with postgresql(folder / "pg") as server_url:
            os.sched_setaffinity(0, set(cores))
            with variants(folder, cores[0], server_url) as found:
                some = {k: v for k, v in found.items() if not chosen.only or k in chosen.only}
                results = measure(some, client, chosen.rounds, seconds)
    return tell(results, is_quick=chosen.quick)


def tell(results: Mapping[str, list[Round]], *, is_quick: bool) -> int:
    """Print ratios of medians and what they are made of; give the exit status."""
    rate = {name: median(one.load.rate for one in runs) for name, runs in results.items()}
    p99 = {name: median(one.load.p99 for one in runs) for name, runs in results.items()}
    figures = {"tokens": float(TOKENS), "user_agents": float(len(set(agents())))}
    for name, runs in results.items():
        figures[f"{name}_per_second"] = round(rate[name])
        figures[f"{name}_p50_ms"] = round(median(one.load.p50 for one in runs), 2)
        figures[f"{name}_p99_ms"] = round(p99[name], 2)
        figures[f"{name}_cpu_us"] = round(median(one.cpu for one in runs), 1)
    ratios = {
        limit: round(rate["ours"] / rate[limit], 3)
        for limit in FLOORS
        if "ours" in rate and limit in rate
    }
    missed = [
        f"{name} reaches {ratios[name]}, and the floor is {floor}."
        for name, floor in FLOORS.items()
        if name in ratios and ratios[name] < floor
    ]
    if "nginx_log" in ratios:
        figures["p99_ratio"] = round(p99["ours"] / p99["nginx_log"], 2)
        if figures["p99_ratio"] > MOST_P99:
            missed.append(f"p99 is {figures['p99_ratio']} x nginx's; the limit is {MOST_P99}.")
    return report("pixel", ratios, figures, missed=missed, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
