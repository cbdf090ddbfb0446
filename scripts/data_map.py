"""Write docs/data-map.md: what is stored about whom, what for, for how long, and who gets it.

    .venv/bin/python scripts/data_map.py            write it
    .venv/bin/python scripts/data_map.py --check    only say whether it is as the schema says

Everything but the purposes is read from where it holds: the columns' marks and the comments above
them, the rules of retention, and what a person's export tells. A walking test fails when the page
is out of date.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from sqlalchemy import Column, Table

from mailprefs import periods
from mailprefs.jobs.retention import RULES, STAYS
from mailprefs.privacy.access.telling import BY_LAW, TABLES
from mailprefs.schema import tables
from mailprefs.schema.base import OF_STAFF, Base, Erasure, Mark

FILE: Final = Path(__file__).resolve().parent.parent / "docs" / "data-map.md"
INTRODUCTION: Final = """\
# What is stored, and about whom

Made by `scripts/data_map.py` from the database's own marks; change those and run it again. A test
fails while this page and the schema differ. Logs, metrics and errors hold no address, IP address,
user agent or link.

*Erasure* says what becomes of a column when a person is erased ([erasing people](erasure.md)): its
row is deleted, it is emptied, or it stays because it leads to nobody. A [legal hold](legal.md) puts
that off. *Export* says whether the person gets it when they ask for all that is kept of them.
"""
COMPANY: Final = "to run the installation"
CHOICES: Final = "to do what people chose, and to prove it"
MAIL: Final = "to send what people subscribed to or must be told, once"
MEASURING: Final = "to learn how mail is received, as far as the person allows it"
SUMS: Final = "to say in numbers what became of mail, of nobody in particular"
RIGHTS: Final = "to keep the promises of the privacy policy and the law, and to prove it"
SAFETY: Final = "to mail nobody who must not be mailed, and to find faults and abuse"
PURPOSES: Final = {
    CHOICES: (
        "attributes consent_entries consent_head last_promotions leaving_reasons ledger_checks "
        "policy_lapses policy_versions purposes reasons_given sign_ups subscriptions wordings"
    ),
    MAIL: (
        "batches campaigns contents deliveries hand_overs imports kept_out publications recipients "
        "senders single_values topics"
    ),
    MEASURING: "measured open_retention opens silenced_deliveries undecided_opens",
    SUMS: "loads mailbox_totals measured_totals open_rollup releases",
    RIGHTS: "data_requests disclosures erasures inbound_mails legal_holds",
    SAFETY: (
        "import_refusals mailbox_facts malformed_events reconciliations soft_bounces "
        "suppression_lifts suppressions vendor_events"
    ),
    COMPANY: (
        "alarms api_keys audit_entries call_pace instance instance_machines presences send_counts "
        "sign_in_links spool_positions staff staff_roles turns vendor_pace"
    ),
}
"""What each table is for; a table that stands nowhere fails."""
ERASED: Final[dict[str, str]] = {
    Erasure.ROW: "the row is deleted",
    Erasure.NULL: "emptied",
    Erasure.KEEP: "stays",
}


def page() -> str:
    """Give the page as it has to be.

    :raises LookupError: for a table whose purpose nobody has said.
    """
    parts = [INTRODUCTION]
    for group in tables.GROUPS:
        title = (inspect.getdoc(group) or "").splitlines()[0].rstrip(".")
        parts.append(f"## {title}\n")
        parts += [_table(one) for one in _classes(group)]
    return "\n".join(parts)


def purpose(table: str) -> str:
    """Give what a table is for.

    :raises LookupError: if nobody has said it.
    """
    for said, names in PURPOSES.items():
        if table in names.split():
            return said
    msg = f"Nobody has said what {table} is for: put it into PURPOSES of scripts/data_map.py."
    raise LookupError(msg)


def _classes(group: ModuleType) -> Iterator[type[Base]]:
    """Give a group's tables in the order in which they stand there."""
    for one in vars(group).values():
        if inspect.isclass(one) and issubclass(one, Base) and one.__module__ == group.__name__:
            yield one


def _table(of: type[Base]) -> str:
    table = of.metadata.tables[of.__tablename__]
    said = (inspect.getdoc(of) or "").splitlines()[0]
    lines = [f"### `{table.name}`", "", said, ""]
    lines += [f"* What for: {purpose(table.name)}.", f"* About: {_whose(table)}."]
    lines += [f"* Kept: {one}." for one in _kept(table.name)]
    lines += ["", "| Column | What | Personal, kept | Erasure | Export |", "|---|---|---|---|---|"]
    notes = _notes(of)
    lines += [_row(column, notes.get(column.name, "")) for column in table.columns]
    return "\n".join([*lines, ""])


def _whose(table: Table) -> str:
    marks = [_mark(column) for column in table.columns]
    if any(mark.personal and mark != OF_STAFF for mark in marks):
        return "recipients"
    return "staff" if OF_STAFF in marks else "nobody"


def _kept(name: str) -> Iterator[str]:
    """Say for how long a table's rows are kept, rule by rule, and what stays."""
    for rule in RULES:
        if name in rule.tables:
            yield f"{rule.what}: {periods.KNOWN[rule.name].usual}, then {rule.then} (`{rule.name}`)"
    if name in STAYS:
        yield f"the rest, because: {STAYS[name]}" if _has_rule(name) else STAYS[name]


def _has_rule(name: str) -> bool:
    return any(name in rule.tables for rule in RULES)


def _row(column: Column[Any], note: str) -> str:
    mark = _mark(column)
    what = (note or column.name.replace("_", " ")).replace("|", "\\|")
    personal = mark.retention.value if mark.personal else "no"
    erased = ERASED[mark.erasure] if mark.personal else "stays"
    return f"| `{column.name}` | {what} | {personal} | {erased} | {_exported(column)} |"


def _exported(column: Column[Any]) -> str:
    """Say whether a person gets a column of their rows."""
    told = TABLES.get(column.table.name)
    if told is None:
        return "no"
    if column.name in told.fields:
        return "yes"
    return "no, by law" if told.withheld.get(column.name) == BY_LAW else "no"


def _notes(of: type[Base]) -> dict[str, str]:
    """Give the comment above each column, where there is one."""
    lines = inspect.getsource(of).splitlines()
    found = {}
    for one in ast.parse("\n".join(lines)).body[0].body:  # type: ignore[attr-defined]  # a class
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            above: list[str] = []
            at = one.lineno - 2
            while lines[at].strip().startswith("#"):
                above.insert(0, lines[at].strip("# "))
                at -= 1
            found[one.target.id] = " ".join(above).rstrip(".")
    return found


def _mark(column: Column[Any]) -> Mark:
    mark: Mark = column.info["mark"]
    return mark


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with ``--check`` only compare it; give an exit status."""
    text = page()
    if "--check" not in arguments:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/data-map.md isn't as the schema says; run scripts/data_map.py.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
