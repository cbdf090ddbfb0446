"""The long form: hundreds of kills on each engine, in rounds; a round that is done stays done.

    ./run faults [--engine E] [--kills N] [--seed S] [--fresh]

Progress is kept in .faults/ENGINE.json, so that a run which was broken off goes on where it was.
Exits with 1 if a promise is broken, with the sentences that say which.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.faults.engines import ENGINES, Engine
from tests.faults.house import house
from tests.faults.processes import ROOT
from tests.faults.rounds import Plan, play
from tests.faults.scenarios import SCENARIOS
from tests.faults.verdicts import Figures

KILLS: Final = 200
PEOPLE: Final = 800
KILLS_A_ROUND: Final = 20
IN_FLIGHT: Final = 0.5
"""The least part of the kills that must meet a call in flight, or they prove too little."""
_FOLDER: Final = ROOT / ".faults"


class Progress:
    """What is done of one engine's run, in a file."""

    def __init__(self, name: str, kills: int, seed: int | None, *, fresh: bool) -> None:
        """Go on with the run that was broken off, or begin one."""
        self._file = _FOLDER / f"{name}.json"
        kept = _read(self._file)
        if fresh or not kept or kept["ended"] or kept["kills"] != kills:
            kept = {}
        if kept and seed not in {None, kept["seed"]}:
            kept = {}
        self.name, self.kills = name, kills
        self.seed: int = kept.get("seed") or seed or random.SystemRandom().getrandbits(32)
        self.began: str = kept.get("began") or _now()
        self.rounds = [Figures(**one) for one in kept.get("rounds", [])]
        self.scenarios = {title: Figures(**one) for title, one in kept.get("scenarios", {}).items()}

    @property
    def sum(self) -> Figures:
        """Give all rounds' figures in one."""
        return sum(self.rounds, Figures())

    def keep(self, *, ended: bool = False) -> None:
        """Write down how far it is."""
        _FOLDER.mkdir(exist_ok=True)
        document = {
            "engine": self.name,
            "kills": self.kills,
            "seed": self.seed,
            "began": self.began,
            "ended": _now() if ended else None,
            "rounds": [asdict(one) for one in self.rounds],
            "scenarios": {title: asdict(one) for title, one in self.scenarios.items()},
        }
        self._file.with_suffix(".new").write_text(json.dumps(document, indent=1) + "\n")
        self._file.with_suffix(".new").replace(self._file)


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; give the exit status."""
    asked = _asked(words)
    broken: list[str] = []
    for name in [asked.engine] if asked.engine else ENGINES:
        progress = Progress(name, asked.kills, asked.seed, fresh=asked.fresh)
        broken += [f"{name}: {one}" for one in _run(progress, with_scenarios=not asked.only_kills)]
    for sentence in broken:
        _say(f"BROKEN  {sentence}")
    return 1 if broken else 0


def _asked(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run faults", description="Kill workers hundreds of times, and count who got what."
    )
    parser.add_argument("--engine", choices=ENGINES, help="only this one")
    parser.add_argument(
        "--kills", type=int, default=KILLS, help="kills on each engine (%(default)s)"
    )
    parser.add_argument("--seed", type=int, help="play the dice of an earlier run again")
    parser.add_argument("--fresh", action="store_true", help="forget a run that was broken off")
    parser.add_argument("--only-kills", action="store_true", help="leave the other scenarios out")
    return parser.parse_args(words)


def _run(progress: Progress, *, with_scenarios: bool) -> list[str]:
    """Play one engine's rounds and scenarios; give what was broken."""
    _say(f"--- {progress.name}, seed {progress.seed}, {progress.kills} kills")
    with tempfile.TemporaryDirectory(prefix="mailprefs-faults-") as folder:
        # A PostgreSQL that root starts belongs to somebody else, who has to get at it.
        Path(folder).chmod(0o755)
        with ENGINES[progress.name](Path(folder)) as engine:
            while progress.sum.kills < progress.kills:
                _round(engine, progress, Path(folder))
            for title, scenario in SCENARIOS.items() if with_scenarios else ():
                if title not in progress.scenarios:
                    began = time.monotonic()
                    progress.scenarios[title] = scenario(engine, Path(folder) / "scenario")
                    shutil.rmtree(Path(folder) / "scenario", ignore_errors=True)
                    progress.keep()
                    _say(f"  {title}: {time.monotonic() - began:.0f} s")
    found = progress.sum
    if found.in_flight < IN_FLIGHT * found.kills:
        found.broken.append(f"only {found.in_flight} of {found.kills} kills met a call in flight")
    progress.keep(ended=True)
    _report(progress.name, found, progress)
    return found.broken + [
        f"{title}: {one}" for title, each in progress.scenarios.items() for one in each.broken
    ]


def _round(engine: Engine, progress: Progress, folder: Path) -> None:
    """Play one round, and keep what came of it."""
    began, number = time.monotonic(), len(progress.rounds) + 1
    draw = random.Random(f"{progress.seed} {progress.name} {number}")
    kills = min(KILLS_A_ROUND, progress.kills - progress.sum.kills)
    with house(engine, folder / "round", people=PEOPLE) as one:
        one.start_web()
        found = play(one, Plan(kills=kills), draw)
    if found.broken:
        kept = _FOLDER / f"{progress.name}-round-{number}"
        shutil.copytree(folder / "round", kept, dirs_exist_ok=True)
        _say(f"  what the round left behind is in {kept}")
    shutil.rmtree(folder / "round")
    progress.rounds.append(found)
    progress.keep()
    whole = progress.sum
    _say(
        f"  round {number}: {whole.kills} of {progress.kills} kills, {whole.in_flight} in flight,"
        f" {whole.calls} calls, {whole.unknown} unknown, {whole.twice} twice"
        f" ({time.monotonic() - began:.0f} s)"
    )


def _report(name: str, found: Figures, progress: Progress) -> None:
    """Print the figures, one a line."""
    lines: dict[str, object] = {
        "engine": name,
        "seed": progress.seed,
        "kills": found.kills,
        "kills with a call in flight": found.in_flight,
        "calls that the vendor saw": found.calls,
        "recipients that it accepted": found.accepted,
        "sent, by the ledger": found.sent,
        "unknown, held for a person": found.unknown,
        "hand-overs unclear at first": f"{found.unclear} of at most {found.unclear_allowed}",
        "people who left meanwhile": f"{found.left}, {found.complaints} by a complaint",
        "administrative second copies, on record": found.second_copies,
        "promotional recipients twice": found.twice,
        "recipients forgotten": found.forgotten,
        "promises broken": len(found.broken),
    }
    for title, one in progress.scenarios.items():
        lines[title] = f"{one.sent} sent, {one.unknown} unknown, {one.unclear} calls unclear"
    for what, figure in lines.items():
        print(f"{what:<42} {figure}")  # noqa: T201 - this is what the command is for
    sys.stdout.flush()


def _read(file: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return kept


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress, for whoever waits


if __name__ == "__main__":
    sys.exit(main())
