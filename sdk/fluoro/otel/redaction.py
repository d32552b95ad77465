"""Take literals out of what OpenTelemetry instrumentations say about a database call, before it leaves the process.

Many of them write the statement as it was executed, and some its parameters. Statements of SQL (and of languages that
look like it) keep their text without literals, as our own instrumentations record them. Of everything else (a Redis or
memcached command, a MongoDB or Elasticsearch document) only the command remains: what follows is keys and values.
"""

from __future__ import annotations

from typing import Any

from fluoro.instrument._sql_text import statement
from fluoro.otel.peers import SQL_SYSTEMS

_TEXTS = ("db.query.text", "db.statement")
_LIKE_SQL = SQL_SYSTEMS | {
    "cassandra",
    "cosmosdb",
    "azure.cosmosdb",
    "couchbase",
    "dynamodb",
    "aws.dynamodb",
    "influxdb",
}
_PARAMETERS = ("db.statement.parameters", "db.query.parameter.", "db.operation.parameter.", "db.mongodb.command")
_MAX_COMMAND = 64


def redact(attributes: dict[str, Any]) -> None:
    """Change `attributes` of one span, in place."""
    system = attributes.get("db.system.name") or attributes.get("db.system")
    if not system:
        return
    for key in _TEXTS:
        text = attributes.get(key)
        if isinstance(text, str):
            without = _without_literals(system, text)
            if without:
                attributes[key] = without
            else:
                del attributes[key]
        elif text is not None:
            del attributes[key]
    for key in [key for key in attributes if key.startswith(_PARAMETERS)]:
        del attributes[key]


def _without_literals(system: str, text: str) -> str:
    if system in _LIKE_SQL:
        return statement(text, system).query
    command, _, rest = text.strip().partition(" ")
    if not command.isidentifier() or len(command) > _MAX_COMMAND:
        return ""
    # Some packages have taken the values out already: "GET ?".
    return text.strip() if rest and not rest.strip("? ") else command
