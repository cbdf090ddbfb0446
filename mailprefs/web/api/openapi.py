"""The API described to programs: an OpenAPI 3.1 document, whose schemas tests hold answers against.

Objects are closed (``additionalProperties: false``): an answer with a field that isn't described
fails a test, and so does a described one that is missing.
"""

from typing import Any, Final

from mailprefs.reports.campaigns import DEFINITIONS
from mailprefs.reports.catalogue import MOST_COMPARED
from mailprefs.reports.cells import Shown
from mailprefs.settings import version

Schema = dict[str, Any]

_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
_SHARE: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}
_TEXT: Final[Schema] = {"type": "string"}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_COUNTS: Final[Schema] = {"type": "object", "additionalProperties": _WHOLE}
_FIVES: Final[Schema] = {
    "enum": [1, 5],
    "description": "Counts are exact (1) or, for analysts, to the next five (5).",
}


def document() -> Schema:
    """Give the whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mailprefs",
            "version": version(),
            "description": (
                "Campaigns, reports of how many people opened them, and what people told other "
                "systems of yours. Numbers about opens are "
                "released by one rule for everybody: none of fewer than k people, at most once a "
                "day, and final when a campaign closes. There are no free filters."
            ),
        },
        "security": [{"session": []}],
        "paths": _paths() | {"/api/choices": _post_choices(), "/api/sign-ups": _post_sign_ups()},
        "components": {
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "mailprefs",
                    "description": "The session of the staff pages (__Host-mailprefs on https).",
                },
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": (
                        "A key of a program: mailprefs key add NAME --scope choices (or subscribe)"
                    ),
                },
            },
            "schemas": _schemas(),
        },
    }


def _paths() -> Schema:
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    chosen = {
        "name": "campaign",
        "in": "query",
        "required": True,
        "description": f"A campaign to compare; two to {MOST_COMPARED} times.",
        "schema": {"type": "array", "items": {"type": "integer"}},
        "explode": True,
    }
    drawn = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "With -narrow in it, drawn for a phone.",
        "schema": {
            "enum": [
                f"{kind}{narrow}.svg"
                for kind in ("rates", "day", "hour", "country", "client")
                for narrow in ("", "-narrow")
            ]
        },
    }
    return {
        "/api/openapi.json": _get("This document", _json({"type": "object"})),
        "/api/campaigns": _get("The newest campaigns", _json(_ref("Campaigns"))),
        "/api/campaigns/{id}": _get(
            "Where everybody in a campaign is", _json(_ref("Campaign")), one
        ),
        "/api/campaigns/{id}/report": _get("A campaign’s report", _json(_ref("Report")), one),
        "/api/campaigns/{id}/report.csv": _get("The same as CSV", _as("text/csv"), one),
        "/api/campaigns/{id}/report.parquet": _get("The same as Parquet", _as(_PARQUET), one),
        "/api/campaigns/{id}/charts/{name}": _get("A chart", _as("image/svg+xml"), one, drawn),
        "/api/topics/months": _get("Topics by month", _json(_ref("Months"))),
        "/api/topics/months.csv": _get("The same as CSV", _as("text/csv")),
        "/api/topics/months.parquet": _get("The same as Parquet", _as(_PARQUET)),
        "/api/compare": _get("Campaigns side by side", _json(_ref("Comparison")), chosen),
        "/api/compare.svg": _get("The same as a chart", _as("image/svg+xml"), chosen),
        "/api/compare-narrow.svg": _get("For a phone", _as("image/svg+xml"), chosen),
    }


_PARQUET: Final = "application/vnd.apache.parquet"
_REFUSALS: Final = {
    "400": "A parameter that isn’t known here, or can’t be read",
    "401": "Nobody is signed in",
    "403": "The role for it is missing",
    "404": "There is no such campaign, or what is asked for isn’t told",
    "409": "An optional package is missing",
}


def _get(summary: str, content: Schema, *parameters: Schema) -> Schema:
    refused = {
        status: {"description": told, "content": _json(_ref("Error"))}
        for status, told in _REFUSALS.items()
    }
    answers = {"200": {"description": summary, "content": content}, **refused}
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": answers}}


def _post_choices() -> Schema:
    told = {
        "400": "The body isn’t what is described here; nothing was changed",
        "401": "There is no key, or one that has ended or was taken back",
        "403": "The key lacks the scope choices",
        "404": "There is no such topic, or nobody with this address leaves only some",
        "409": "The topic is administrative, and nobody can leave it",
        "503": "It could not be stored; ask again",
    }
    refused = {
        status: {"description": said, "content": _json(_ref("Error"))}
        for status, said in told.items()
    }
    answer = {"description": "Stored, and in force", "content": _json(_ref("Stored"))}
    return {
        "post": {
            "summary": "Store what somebody told you: a no, never a yes",
            "description": (
                "In force when this answers 200. The same again changes nothing. Somebody who "
                'isn’t on file is kept out by "leave": "all", too.'
            ),
            "security": [{"key": ["choices"]}],
            "requestBody": {"required": True, "content": _json(_ref("Noes"))},
            "responses": {"200": answer, **refused},
        }
    }


def _post_sign_ups() -> Schema:
    told = {
        "400": "The body isn’t what is described here; nothing was changed",
        "401": "There is no key, or one that has ended or was taken back",
        "403": "The key lacks the scope subscribe",
        "404": "There is no such topic",
        "409": "The topic is administrative, or something has to be set up first",
        "503": "It could not be stored; ask again",
    }
    refused = {
        status: {"description": said, "content": _json(_ref("Error"))}
        for status, said in told.items()
    }
    answer = {"description": "It waits, whoever that is", "content": _json(_ref("Accepted"))}
    return {
        "post": {
            "summary": "Sign somebody up, once the owner of the mailbox says yes",
            "description": (
                "A mail with a link goes to the address, one a day at most; nothing else does "
                "before its button is pressed. The answer is the same for every address."
            ),
            "security": [{"key": ["subscribe"]}],
            "requestBody": {"required": True, "content": _json(_ref("SignUp"))},
            "responses": {"202": answer, **refused},
        }
    }


def _sign_up() -> Schema:
    words = _TEXT | {"description": "The words beside the box.", "minLength": 1, "maxLength": 2000}
    return _object(
        {
            "address": _TEXT,
            "topics": _list(_TEXT) | {"minItems": 1, "maxItems": 100},
            "wording": words,
            "language": _TEXT | {"description": "BCP 47; of the form, and then of the mails."},
            "region": _TEXT | {"description": "ISO 3166-1, if the form asks for it."},
        },
        optional=("language", "region"),
    )


def _noes() -> Schema:
    topics = _list(_TEXT) | {"maxItems": 100}
    return _object(
        {
            "address": _TEXT,
            "leave": {"oneOf": [{"const": "all"}, topics]},
            "refuse": _list({"enum": ["open_tracking"]}),
        },
        optional=("leave", "refuse"),
    )


def _schemas() -> Schema:
    return {
        "Noes": _noes(),
        "SignUp": _sign_up(),
        "Accepted": _object({"accepted": {"const": True}}),
        "Stored": _object({"changed": {"type": "boolean"}, "on_file": {"type": "boolean"}}),
        "Error": _object({"error": _TEXT, "reference": _TEXT}, optional=("reference",)),
        "Campaigns": _object({"campaigns": _list(_ref("Campaign"))}),
        "Campaign": _campaign(),
        "Report": _report(),
        "Opens": _opens(),
        "Cell": _cell(),
        "Estimate": _estimate(),
        "Table": _table(),
        "Months": _object({"months": _list(_ref("Month")), "rounded_to": _FIVES}),
        "Month": _month(),
        "Comparison": _object({"campaigns": _list(_ref("Report")), "pairs": _list(_ref("Pair"))}),
        "Pair": _pair(),
    }


def _campaign() -> Schema:
    """Describe a campaign; how far it has come may be told in more words later."""
    counted = dict.fromkeys(("chosen", "frozen", "sent", "unknown", "pending"), _WHOLE)
    reasons = dict.fromkeys(("kept_out", "skipped", "failed", "mailbox"), _COUNTS)
    words = {"id": {"type": "integer"}, "name": _TEXT, "state": _TEXT, "message_class": _CLASS}
    properties = words | counted | reasons
    return {"type": "object", "properties": properties, "required": sorted(properties)}


_CLASS: Final[Schema] = {"enum": ["promotional", "administrative"]}


def _report() -> Schema:
    return _object(
        {
            "id": {"type": "integer"},
            "name": _TEXT,
            "message_class": _CLASS,
            "as_of": _MOMENT,
            "zone": _TEXT | {"description": "The IANA zone of days and hours."},
            "rounded_to": _FIVES,
            "mailbox": _COUNTS,
            "opens": _maybe(_ref("Opens")),
        }
    )


def _opens() -> Schema:
    letters = dict.fromkeys("DMNHC", _WHOLE)
    return _object(
        {
            "released_at": _maybe(_MOMENT),
            "final": {"type": "boolean"},
            "least_people": {"type": "integer", "minimum": 10},
            "measured": _maybe(_WHOLE),
            "measured_share": _maybe(_SHARE),
            "label": _maybe(_TEXT),
            "reported": _ref("Cell") | {"description": DEFINITIONS["reported"]},
            "confirmed": _ref("Cell") | {"description": DEFINITIONS["confirmed"]},
            "estimated": _ref("Estimate") | {"description": DEFINITIONS["estimated"]},
            "inputs": _maybe(_object(letters)),
            "loads": _maybe(_WHOLE),
            "tables": {"type": "object", "additionalProperties": _ref("Table")},
            "definitions": _object(dict.fromkeys(DEFINITIONS, _TEXT)),
        }
    )


def _cell() -> Schema:
    return _object(
        {
            "shown": {"enum": [shown.value for shown in Shown]},
            "n": _maybe(_WHOLE),
            "of": _maybe(_WHOLE),
            "rate": _maybe(_SHARE) | {"description": "Of under and over, the bound."},
        }
    )


def _estimate() -> Schema:
    between = {"type": "array", "items": _SHARE, "minItems": 2, "maxItems": 2}
    return _object(
        {
            "rate": _maybe(_SHARE),
            "interval": _maybe(between),
            "range": _maybe(between),
            "not_shown_because": _list(_object({"code": _TEXT, "sentence": _TEXT})),
        }
    )


def _table() -> Schema:
    counted = {"label": _TEXT, "opens": _WHOLE, "rate": _SHARE}
    return _object(
        {
            "of": _WHOLE,
            "cells": _list(_object({"value": _TEXT} | counted)),
            "rest": _object({"values": _list(_TEXT)} | counted),
            "total": _WHOLE,
        }
    )


def _month() -> Schema:
    counted = ("campaigns", "left_out", "measured", "reported", "confirmed")
    return _object(
        dict.fromkeys(("topic", "topic_name", "month"), _TEXT)
        | dict.fromkeys(counted, _WHOLE)
        | {name: _maybe(_SHARE) for name in ("reported_rate", "confirmed_rate")}
    )


def _pair() -> Schema:
    points = {"type": "number", "minimum": -1, "maximum": 1}
    between = {"type": "array", "items": points, "minItems": 2, "maxItems": 2}
    return _object(
        {
            "campaigns": _list({"type": "integer"}),
            "difference": _maybe(points),
            "interval": _maybe(between),
            "certain": _maybe({"type": "boolean"}),
            "verdict": _TEXT,
        }
    )


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties.keys() - set(optional)),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _as(kind: str) -> Schema:
    return {kind: {"schema": {"type": "string", "format": "binary"}}}
