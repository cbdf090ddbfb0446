"""Every engine, one after the other; the seed of a run is printed where a test fails."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.faults.engines import ENGINES, Engine
from tests.faults.house import House
from tests.faults.house import house as furnished

Furnish = Callable[..., AbstractContextManager[House]]


@pytest.fixture(scope="session", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Give each engine in turn."""
    name: str = request.param
    with ENGINES[name](tmp_path_factory.mktemp(name)) as one:
        yield one


@pytest.fixture
def furnish(engine: Engine, tmp_path: Path) -> Furnish:
    """Give what makes an installation of so many people and other settings."""
    return partial(furnished, engine, tmp_path)


@pytest.fixture
def draw() -> random.Random:
    """Give this run's dice; MAILPREFS_TESTS_SEED throws them again as they fell."""
    seed = int(os.environ.get("MAILPREFS_TESTS_SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"MAILPREFS_TESTS_SEED={seed}")  # noqa: T201 - pytest shows it where a test fails
    return random.Random(seed)
