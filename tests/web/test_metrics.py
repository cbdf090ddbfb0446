"""The metrics: for who has the token, in Prometheus' format, and about nobody."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from mailprefs.app import create_app
from mailprefs.db.database import Database
from mailprefs.deliveries import pace
from mailprefs.jobs.alarms import Watch
from mailprefs.schema.deliveries import Batch, BatchState
from mailprefs.schema.sending import Presence
from mailprefs.web.parts import Parts
from tests.web.conftest import Clock, Reader

TOKEN = "a-token-of-a-monitor-0123456789"
LINE = re.compile(
    r'mailprefs_[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? -?[0-9.]+(e[+-]\d+)?'
)


@pytest.fixture
def ask(parts: Parts) -> Callable[..., tuple[int, str]]:
    """Give a function that reads the metrics with the headers given."""
    watched = replace(
        parts, settings=parts.settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    )

    def asked(given: Parts = watched, **headers: str) -> tuple[int, str]:
        wanted = headers or {"Authorization": f"Bearer {TOKEN}"}
        response = create_app(given).test_client().get("/metrics", headers=wanted)
        return response.status_code, response.text

    asked.parts = watched  # type: ignore[attr-defined]  # for the tests that change them
    return asked


def value(text: str, name: str) -> float | None:
    found = re.search(rf"^mailprefs_{re.escape(name)} (.+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def test_without_the_token_there_is_no_such_page(
    ask: Callable[..., tuple[int, str]], parts: Parts
) -> None:
    assert ask()[0] == 200
    for wrong in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
        assert ask(Authorization=wrong)[0] == 404
    assert ask(Host="127.0.0.1")[0] == 404, "being on this machine proves nothing"


def test_without_a_token_set_nobody_has_it(
    ask: Callable[..., tuple[int, str]], parts: Parts
) -> None:
    for guess in ("Bearer ", "Bearer", "bearer  "):
        assert ask(parts, Authorization=guess)[0] == 404


def test_every_line_is_one_that_prometheus_reads(ask: Callable[..., tuple[int, str]]) -> None:
    _, text = ask()
    lines = text.splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) > 8
    for line in lines:
        assert line.startswith("# ") or LINE.fullmatch(line), line


def test_they_say_how_the_sending_stands(
    ask: Callable[..., tuple[int, str]], parts: Parts, reader: Reader, clock: Clock
) -> None:
    with parts.db.transaction() as session:
        pace.stop(session, "No credits.")
        session.query(Batch).one().state = BatchState.UNKNOWN
        started = clock.now - timedelta(hours=1)
        seen = clock.now - timedelta(seconds=90)
        session.add(Presence(owner="host:1", started_at=started, seen_at=seen))
    Watch(db=parts.db, settings=parts.settings, hasher=parts.hasher, clock=clock).look()
    _, text = ask()
    assert value(text, 'alarms_open{kind="sending_stopped"}') == 1
    assert value(text, 'alarms_open{kind="campaign_stalled"}') == 0
    assert value(text, "sending_stopped") == 1
    assert value(text, "breaker_open") == 0
    assert value(text, 'campaigns{state="sending"}') == 1
    assert value(text, 'people_waiting{state="unknown"}') == 1
    assert value(text, "worker_age_seconds") == 90
    assert value(text, "database_up") == 1
    assert (value(text, "spool_limit_bytes") or 0) == 2**30
    assert (value(text, "pixel_hits_refused"), value(text, "pixel_hits_lost")) == (0, 0)
    parts.spool.count_lost()
    assert value(ask()[1], "pixel_hits_lost") == 1


def test_they_hold_nothing_of_anybody(
    ask: Callable[..., tuple[int, str]], parts: Parts, reader: Reader, clock: Clock
) -> None:
    with parts.db.transaction() as session:
        pace.stop(session, f"Denied for {reader.address} from 192.0.2.7.")
    Watch(db=parts.db, settings=parts.settings, hasher=parts.hasher, clock=clock).look()
    _, text = ask()
    assert "@" not in text
    assert "192.0.2.7" not in text
    assert str(parts.settings.data_dir) not in text
    assert TOKEN not in text


def test_they_answer_while_the_database_is_away(
    ask: Callable[..., tuple[int, str]], parts: Parts
) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:1/none")
    status, text = ask(replace(ask.parts, db=gone))  # type: ignore[attr-defined]  # set above
    assert (status, value(text, "database_up")) == (200, 0)
    assert "mailprefs_disk_free_bytes" in text
