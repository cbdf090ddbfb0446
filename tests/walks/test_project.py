import os
import stat
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import house_rules
from scripts.house_rules import Text

ROOT = house_rules.ROOT
LONG = "def far():\n" + "    x = 1\n" * 40
# Written in two halves, so that the rules under test don't find them here.
HOST = "py" + "pi.org"
LATER = "TO" + "DO"
BROKEN = "FIX" + "ME"
HOME = "/ho" + "me/ann/x"
EXCUSE = "# no" + "qa: S608"
TYPES = "# type: " + "ignore[a]"


def run(*arguments: str, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "run"), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_project_keeps_every_house_rule() -> None:
    assert house_rules.problems() == []


@pytest.mark.parametrize(
    ("rule", "path", "content", "told"),
    [
        (house_rules.unfinished_work, "a.md", f"fine\n{LATER} later", "a.md:2 puts work off"),
        (house_rules.unfinished_work, "a.py", f"x = 1  # {BROKEN}", "a.py:1 puts work off"),
        (house_rules.hosts_and_machines, "a.lock", f"# from {HOST}", "a.lock:1 names a package"),
        (house_rules.hosts_and_machines, "a.md", f"see {HOME}", "a.md:1 holds a path"),
        (house_rules.long_code, "a.py", LONG, "a.py:1 far() has 41 lines"),
        (house_rules.long_code, "a.py", "x = 1\n" * 401, "a.py has 401 lines"),
        (house_rules.empty_names, "mailprefs/utils.py", "", "mailprefs/utils.py is named utils"),
        (house_rules.empty_names, "a.py", "class TopicManager: ...", "a.py:1 is named"),
        (house_rules.excuses_without_reason, "a.py", f"x = f()  {EXCUSE}", "a.py:1 switches"),
        (house_rules.excuses_without_reason, "a.py", f"x = 1  {TYPES}", "a.py:1 switches"),
    ],
)
def test_each_rule_finds_what_breaks_it(
    rule: Callable[[list[Text]], list[str]], path: str, content: str, told: str
) -> None:
    found = rule([Text(path, content)])
    assert len(found) == 1
    assert found[0].startswith(told)


@pytest.mark.parametrize(
    ("rule", "path", "content"),
    [
        (house_rules.long_code, "a.py", LONG.removesuffix("    x = 1\n")),
        (house_rules.excuses_without_reason, "a.py", f"f()  {EXCUSE} - values are bound"),
        (house_rules.excuses_without_reason, "a.py", f"# Values are bound.\nf()  {EXCUSE}"),
        (house_rules.hosts_and_machines, "a.md", "run `pip install`, then GET /staff/home/ann"),
        (house_rules.empty_names, "a.py", "class Information: ..."),
    ],
)
def test_no_rule_finds_what_keeps_it(
    rule: Callable[[list[Text]], list[str]], path: str, content: str
) -> None:
    assert rule([Text(path, content)]) == []


def test_a_lint_rule_is_ignored_only_with_a_reason() -> None:
    without = '[tool.ruff.lint]\nignore = [\n    # Why.\n    "A1", "A2",\n    "B1",\n]\n'
    assert house_rules.ignores_without_reason(without) == [
        "pyproject.toml:5 ignores a rule without a reason above it."
    ]
    per_file = '[tool.ruff.lint.per-file-ignores]\n"tests/**" = [\n    "S101",\n]\n'
    assert len(house_rules.ignores_without_reason(per_file)) == 1


def test_locks_that_lag_behind_are_named() -> None:
    asked = '[project]\ndependencies = ["Flask>=3.1"]\n[dependency-groups]\ndev = ["pytest>=9"]\n'
    digest = "sha256:" + "0" * 64
    runtime = f"flask==3.1.2 \\\n    --hash={digest}\n"
    good = runtime + f"pytest==9.2.0 \\\n    --hash={digest}\n"
    assert house_rules.lock_disagreements(asked, runtime, good) == []
    assert house_rules.lock_disagreements(asked, runtime, runtime) == [
        "pyproject.toml asks for pytest>=9, requirements-dev.lock has None: call ./run lock."
    ]
    old = runtime.replace("3.1.2", "3.0.9")
    assert any("flask differs" in told for told in house_rules.lock_disagreements(asked, old, good))
    assert any("has 3.0.9" in told for told in house_rules.lock_disagreements(asked, old, good))
    bare = house_rules.lock_disagreements(asked, "flask==3.1.2\n", good)
    assert any("has no hash" in told for told in bare)


def test_the_changelog_needs_a_place_for_what_is_not_released() -> None:
    assert house_rules.changelog_problems("# Changelog\n\n## [0.1.0]\n") != []


def test_every_module_has_a_row_and_none_is_listed_twice() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rows = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    names = [name.strip().strip("()") for row in rows for name in row.replace(":", "|").split("|")]
    modules = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / "mailprefs").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    } - {"__init__"}
    assert modules <= set(names)
    assert len(names) == len(set(names))


def test_pure_rules_are_held_to_it_as_soon_as_they_exist() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pure = settings["tool"]["importlinter"]["contracts"][-1]
    assert pure["name"].startswith("Pure rules")
    for name in ("policy", "errors", "links", "useragents", "addresses"):
        places = (ROOT / "mailprefs" / f"{name}.py", ROOT / "mailprefs" / name / "__init__.py")
        if any(place.is_file() for place in places):
            assert f"mailprefs.{name}" in pure["source_modules"]


def test_run_called_bare_says_what_it_can_do() -> None:
    said = run()
    assert said.returncode == 0
    for command in ("demo", "test", "lint", "format", "bench", "lock"):
        assert f"./run {command}" in said.stdout


def test_run_refuses_what_it_does_not_know() -> None:
    said = run("dance")
    assert said.returncode == 2
    assert "no command 'dance'" in said.stderr


def test_a_benchmark_that_does_not_exist_is_named() -> None:
    said = run("bench", "nonesuch")
    assert said.returncode == 1
    assert "There is no benchmark 'nonesuch'" in said.stderr


def test_locking_without_uv_fails_with_the_way_out(tmp_path: Path) -> None:
    for tool in ("sh", "dirname"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    said = subprocess.run(
        [str(ROOT / "scripts" / "lock")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert "needs uv, which is not installed" in said.stderr


@pytest.mark.parametrize("path", ["run", ".ci/run", "scripts/lock", "scripts/debian-packages"])
def test_what_people_start_can_be_started(path: str) -> None:
    mode = (ROOT / path).stat().st_mode
    assert mode & stat.S_IXUSR
    assert mode & stat.S_IXOTH
    assert os.access(ROOT / path, os.X_OK)
