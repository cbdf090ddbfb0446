"""Repeat, compare, report: ratios of medians over interleaved runs, because machines are noisy."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from statistics import median


def options(description: str) -> argparse.ArgumentParser:
    """Give a parser with ``--quick``; a script adds what else it takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--quick", action="store_true", help="smaller sizes, under a minute; misses don't count"
    )
    return parser


def interleaved(
    variants: Mapping[str, Callable[[], float]], *, repeat: int
) -> dict[str, list[float]]:
    """Run every variant *repeat* times, in turn, and give what each run returned (seconds).

    In turn, so that a minute in which the machine is busy with something else touches them all.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(1, repeat + 1):
        for name, variant in variants.items():
            seconds[name].append(variant())
            say(f"  run {turn} of {repeat}  {name:<24} {seconds[name][-1]:8.2f} s")
    return seconds


def ratio(seconds: Mapping[str, list[float]], *, limit: str, ours: str) -> float:
    """Give how much of the limit's speed ours reaches, by medians."""
    return round(median(seconds[limit]) / median(seconds[ours]), 3)


def percentile(values: list[float], share: float) -> float:
    """Give the value that *share* (0 to 1) of *values* don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def say(text: str) -> None:
    """Tell the person at the terminal; standard output is for the numbers."""
    print(text, file=sys.stderr, flush=True)


def report(
    benchmark: str,
    ratios: Mapping[str, float],
    figures: Mapping[str, float],
    *,
    missed: list[str],
    is_quick: bool,
) -> int:
    """Print the one JSON line that everything else reads; give the exit status.

    *missed*: sentences about limits that weren't reached; with ``--quick`` they are only told.
    """
    for sentence in missed:
        say(f"MISSED: {sentence}")
    print(json.dumps({"benchmark": benchmark, "ratios": ratios, "figures": figures}))
    return 1 if missed and not is_quick else 0
