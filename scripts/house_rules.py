"""Check the rules of this house that no tool knows: `./run lint` calls it, a walking test too.

Each rule takes what it looks at and returns sentences, one for each thing that breaks it; none
reads the network. `main` prints them all and exits with 1 if there are any.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES = 400
FUNCTION_LINES = 40

# Bracketed letters keep these patterns from finding themselves.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K]|lorem ipsu[m])\b")
REGISTRY_HOSTS = re.compile(
    r"py[p]i\.org|python[h]osted\.org|npm[j]s\.(?:org|com)|registry\.yarn[p]kg|crates\.i[o]\b"
    r"|proxy\.golan[g]\.org|--(?:extra-)?index-ur[l]|--trusted-hos[t]",
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|Users)/[a-z][\w-]*/|(?<![\w./-])/roo[t]/")
LOCKS = ("requirements.lock", "requirements-dev.lock")
LARGE_EXTRAS = frozenset({"parquet"})
EMPTY_WORDS = frozenset(
    {
        "common",
        "handler",
        "helper",
        "helpers",
        "info",
        "manager",
        "misc",
        "service",
        "util",
        "utils",
    },
)
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)")
EXCUSE = re.compile(r"#\s*(?:noqa|type: ignore)\b")
BARE_EXCUSE = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type: ignore(?:\[[\w, -]*\])?)\s*$"
)


class Text(NamedTuple):
    """One file of the project: its path from the root, and what it says."""

    path: str
    content: str

    def lines(self) -> Iterator[tuple[str, str]]:
        """Give each line with the place to name when something is wrong there."""
        for number, line in enumerate(self.content.splitlines(), 1):
            yield f"{self.path}:{number}", line


def project_texts(root: Path = ROOT) -> list[Text]:
    """Read every text file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={root}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    texts = []
    for name in sorted(set(listed.stdout.decode().split("\0")) - {""}):
        path = root / name
        if path.is_file():
            raw = path.read_bytes()
            if b"\0" not in raw:
                texts.append(Text(name, raw.decode("utf-8", "replace")))
    return texts


def unfinished_work(texts: Iterable[Text]) -> list[str]:
    """Find marks of work put off: it is done, or written down as an issue."""
    return [
        f"{place} puts work off ({found[0]}): do it, or file an issue and say here what holds now."
        for text in texts
        if text.path not in LOCKS
        for place, line in text.lines()
        if (found := UNFINISHED.search(line))
    ]


def hosts_and_machines(texts: Iterable[Text], checkout: Path = ROOT) -> list[str]:
    """Find names of package registries, and paths that exist on one machine only."""
    own = re.escape(str(checkout)) if len(checkout.parts) > 2 else None
    wrong = []
    for text in texts:
        for place, line in text.lines():
            if found := REGISTRY_HOSTS.search(line):
                wrong.append(
                    f"{place} names a package registry ({found[0]}): leave that to pip or uv."
                )
            if (found := MACHINE_PATHS.search(line)) or (own and (found := re.search(own, line))):
                wrong.append(f"{place} holds a path of one machine ({found[0]}): make it relative.")
    return wrong


def long_code(texts: Iterable[Text]) -> list[str]:
    """Find modules and functions that are too long to be read in one go."""
    wrong = []
    for text in texts:
        count = len(text.content.splitlines())
        if count > MODULE_LINES:
            wrong.append(f"{text.path} has {count} lines; {MODULE_LINES} are the limit: split it.")
        for node in ast.walk(ast.parse(text.content)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    wrong.append(
                        f"{text.path}:{node.lineno} {node.name}() has {length} lines;"
                        f" {FUNCTION_LINES} are the limit: name its parts.",
                    )
    return wrong


def empty_names(texts: Iterable[Text]) -> list[str]:
    """Find modules and classes whose name says nothing (manager, utils, and their kin)."""
    wrong = []
    for text in texts:
        names = dict.fromkeys(Path(text.path).with_suffix("").parts, text.path)
        for node in ast.walk(ast.parse(text.content)):
            if isinstance(node, ast.ClassDef):
                names[node.name] = f"{text.path}:{node.lineno}"
        for name, place in names.items():
            wrong += [
                f"{place} is named {name}: {word!r} says nothing; name what it is."
                for word in re.findall(r"[A-Z]?[a-z]+", name)
                if word.lower() in EMPTY_WORDS
            ]
    return wrong


def excuses_without_reason(texts: Iterable[Text]) -> list[str]:
    """Find a check switched off in the code, without a reason behind it or in a comment above."""
    wrong = []
    for text in texts:
        above = ""
        for place, line in text.lines():
            if EXCUSE.search(line) and BARE_EXCUSE.search(line) and not above.startswith("#"):
                wrong.append(
                    f"{place} switches a check off: write the reason behind it or above it."
                )
            above = line.strip()
    return wrong


def ignores_without_reason(pyproject: str) -> list[str]:
    """Find ruff rules that are ignored without a comment above them that says why."""
    wrong = []
    inside = False
    above = ""
    for number, raw in enumerate(pyproject.splitlines(), 1):
        line = raw.strip()
        if line.startswith("[tool."):
            inside = False
        if re.match(r'(?:ignore|"[^"]+") = \[', line):
            inside = line.endswith("[")
            if not inside and not above.startswith("#"):
                wrong.append(f"pyproject.toml:{number} ignores a rule without a reason above it.")
        elif inside and line.startswith('"') and not above.startswith("#"):
            wrong.append(f"pyproject.toml:{number} ignores a rule without a reason above it.")
        above = line
    return wrong


def pins(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Read a lock: for each package its version and its hashes."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for block in re.split(r"(?m)^(?=[a-z0-9])", lock):
        if head := PIN.match(block):
            found[head[1]] = (head[2], frozenset(re.findall(r"sha256:[0-9a-f]{64}", block)))
    return found


def lock_disagreements(pyproject: str, runtime: str, development: str) -> list[str]:
    """Find where the two locks don't fit pyproject.toml, each other, or have no hash."""
    project = tomllib.loads(pyproject)
    asked = list(project["project"]["dependencies"])
    apart: list[str] = []
    for name, extra in project["project"].get("optional-dependencies", {}).items():
        # What few need and is large, only development installs without being asked.
        (apart if name in LARGE_EXTRAS else asked).extend(extra)
    run, dev = pins(runtime), pins(development)
    wrong = [
        f"{name} in {lock} has no hash: call ./run lock."
        for lock, held in zip(LOCKS, (run, dev), strict=True)
        for name, (_, hashes) in held.items()
        if not hashes
    ]
    wrong += [
        f"{name} differs between the locks: call ./run lock."
        for name in run
        if run[name] != dev.get(name)
    ]
    wrong += unmet(asked, run, LOCKS[0])
    wrong += unmet([*project.get("dependency-groups", {}).get("dev", []), *apart], dev, LOCKS[1])
    return wrong


def unmet(
    asked: Iterable[str], held: dict[str, tuple[str, frozenset[str]]], lock: str
) -> list[str]:
    """Find requirements of pyproject.toml that a lock doesn't meet."""
    wrong = []
    for line in asked:
        requirement = Requirement(line)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        version = held.get(name, (None,))[0]
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"pyproject.toml asks for {line}, {lock} has {version}: call ./run lock.")
    return wrong


def changelog_problems(changelog: str) -> list[str]:
    """Find out whether the changelog has a place for what is not released yet."""
    if re.search(r"(?m)^## \[Unreleased\]$", changelog):
        return []
    return ["CHANGELOG.md has no section '## [Unreleased]': write there what changes for people."]


def problems(root: Path = ROOT) -> list[str]:
    """Apply every rule to the project at *root*."""
    texts = project_texts(root)
    python = [text for text in texts if text.path.endswith(".py")]
    ours = [text for text in python if not text.path.startswith(("tests/", "migrations/"))]
    content = {text.path: text.content for text in texts}
    return [
        *unfinished_work(texts),
        *hosts_and_machines(texts, root),
        *long_code(ours),
        *empty_names(ours),
        *excuses_without_reason(python),
        *ignores_without_reason(content["pyproject.toml"]),
        *lock_disagreements(content["pyproject.toml"], *(content[lock] for lock in LOCKS)),
        *changelog_problems(content.get("CHANGELOG.md", "")),
    ]


def main() -> int:
    """Print what breaks a rule; give the exit status."""
    found = problems()
    for sentence in found:
        print(sentence)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
