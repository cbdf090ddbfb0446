"""Templates, routes and statements are compiled once for all tests of a process.

Each test makes an application and an engine of its own, and compiling for them anew would take a
third of the suite's time. What is kept is told apart by the source of a template, by the text and
defaults of a route and by SQLAlchemy's own key of a statement, so that a changed one is compiled
anew.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from werkzeug.routing import Rule


class Templates(BytecodeCache):
    """Compiled templates in memory."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give what was compiled of the same source."""
        if (kept := self._kept.get(bucket.key + bucket.checksum)) is not None:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was just compiled."""
        self._kept[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": Templates()}


_BUILDERS: dict[object, Callable[..., tuple[str, str]]] = {}
_compile = Rule._compile_builder  # noqa: SLF001 - werkzeug has no other place to keep them


def _builder(rule: Rule, *arguments: bool) -> Callable[..., tuple[str, str]]:
    """Give what puts a route's address together; it belongs to no rule before it is bound."""
    trace = tuple(rule._trace)  # noqa: SLF001 - the parts that it is made of
    key = (rule.rule, trace, repr(rule.defaults), arguments)
    if (kept := _BUILDERS.get(key)) is None:
        kept = _BUILDERS[key] = _compile(rule, *arguments)
    return kept


type.__setattr__(Rule, "_compile_builder", _builder)


def _is_alike(one: Dialect, other: object) -> bool:
    """Tell whether two engines' dialects are of one kind: what is compiled for one fits both."""
    return type(one) is type(other)


def _hash(one: Dialect) -> int:
    return hash(type(one))


# The keys of compiled statements, of engines and mappers, begin with the engine's dialect.
for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg):
    type.__setattr__(kind, "__eq__", _is_alike)
    type.__setattr__(kind, "__hash__", _hash)
_STATEMENTS: dict[Any, Any] = {}


@event.listens_for(Engine, "engine_connect")
def _share(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_STATEMENTS)
