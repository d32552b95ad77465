"""Run the OpenTelemetry instrumentors that are installed on our provider, each when the application imports its library.

A library that we trace ourselves is left to us, whoever asks: the plan made at start-up, `opentelemetry-instrument`, or
the application that calls `RequestsInstrumentor().instrument()`. Two spans for one call would be two calls on the map.
A library switched off by FLUORO_DISABLE stays off here too; only the application's own `instrument()` is then obeyed.

The plan is made at the start of every traced process: nothing is imported at the top that is not loaded already.
"""

from __future__ import annotations

import os
import sys

from fluoro import diagnostics, instrument
from fluoro.otel.discovery import Instrumentor, installed, letters, normalised

TYPE_CHECKING = False  # see above
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import ModuleType
    from typing import Any

PATCHED = "patched"
_OURS = "fluoro traces it itself"

# Instrumentors whose calls ours record too although nothing in their metadata says so → a row of ours.
_ALSO_OURS = {
    "aws-lambda": "lambda",
    "boto3": "botocore",  # boto3sqs: consumers of SQS
}

# What FLUORO_DISABLE may name although it is not installed here: one setting serves many programs.
KNOWN = frozenset(
    [
        "aio-pika",
        "aiobotocore",
        "aiohttp-client",
        "aiohttp-server",
        "aiokafka",
        "aiopg",
        "asyncclick",
        "asyncio",
        "asyncpg",
        "aws-lambda",
        "boto3",
        "botocore",
        "cassandra",
        "celery",
        "click",
        "confluent_kafka",
        "django",
        "elasticsearch",
        "falcon",
        "fastapi",
        "flask",
        "google-genai",
        "grpc_aio_client",
        "grpc_aio_server",
        "grpc_client",
        "grpc_server",
        "httpx",
        "httpx2",
        "jinja2",
        "kafka",
        "logging",
        "mysql",
        "mysqlclient",
        "openai",
        "openai-agents",
        "pika",
        "psycopg",
        "psycopg2",
        "pymemcache",
        "pymongo",
        "pymssql",
        "pymysql",
        "pyramid",
        "redis",
        "remoulade",
        "requests",
        "sqlalchemy",
        "sqlite3",
        "starlette",
        "structlog",
        "system_metrics",
        "threading",
        "tornado",
        "tortoiseorm",
        "urllib",
        "urllib3",
        "vertexai",
    ]
)

_running: dict[str, Any] = {}  # entry point's value → the instrumentor, instrumented by us


class Foreign(instrument.Target):
    """An installed instrumentor that waits for `module`; a row beside those of `instrument.TABLE`."""

    __slots__ = ("value",)

    def __init__(self, found: Instrumentor, module: str) -> None:
        super().__init__(found.name, module, "")
        self.value = found.value

    @property
    def key(self) -> str:
        return key(self.name)

    def apply(self, module: ModuleType) -> str:
        if self.value in _running:
            return PATCHED
        try:
            parent, _, name = module.__name__.rpartition(".")
            if parent:  # the import system binds it right after this, but the instrumentor looks now
                setattr(sys.modules[parent], name, module)
            refusal = _run(self.value)
        except Exception as error:  # noqa: BLE001  another project's code, inside the application's import
            refusal = diagnostics.describe(error)
        if refusal:
            diagnostics.warn(
                f"otel {self.name}",
                f"{self.name} is not traced by its OpenTelemetry instrumentor: {refusal}",
                every_s=float("inf"),
            )
        return refusal or PATCHED


def key(name: str) -> str:
    """How `instrument.register` calls the instrumentor `name`."""
    return f"otel:{name}"


def plan(disabled: Collection[str], table: Sequence[instrument.Target], path: Sequence[str]) -> list[Foreign]:
    """The rows for what is installed on `path`, less what is ours (`table`) and what the environment switches off.

    Why an installed library's instrumentor has no row is written to `instrument.register`.
    """
    left_out = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    rows = []
    for found in installed(path):
        if not found.modules:
            continue
        if covering(found, table):
            reason = _OURS
        elif not {found.name.lower(), "opentelemetry"}.isdisjoint(disabled):
            reason = "disabled"
        elif not {found.name, "*"}.isdisjoint(left_out):
            reason = "disabled by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
        elif found.name == "asyncio" and not any(name.startswith("OTEL_PYTHON_ASYNCIO_") for name in os.environ):
            reason = "no OTEL_PYTHON_ASYNCIO_… variable says what to trace"
        else:
            rows += [Foreign(found, module) for module in found.modules]
            continue
        instrument.register[key(found.name)] = reason
    return rows


def covering(found: Instrumentor, table: Sequence[instrument.Target]) -> list[instrument.Target]:
    """Our rows that record what this instrumentor would."""
    same = letters(_ALSO_OURS.get(found.name, found.name))
    return [
        row
        for row in table
        if letters(row.name) == same or (row.distribution and normalised(row.distribution) in found.instruments)
    ]


def stop() -> None:
    """Undo what was instrumented here."""
    while _running:
        _, instrumentor = _running.popitem()
        try:
            instrumentor.uninstrument()
        except Exception as error:  # noqa: BLE001  another project's code
            diagnostics.warn("otel uninstrument", diagnostics.describe(error))


def _run(value: str) -> str:
    """Instrument; why not, or ""."""
    from importlib import import_module

    from opentelemetry import trace

    from fluoro.otel.provider import install

    if not install():
        return f"OpenTelemetry spans go to {type(trace.get_tracer_provider()).__module__}"
    module, _, name = value.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    instrumentor = found()
    conflict = instrumentor._check_dependency_conflicts()  # noqa: SLF001  what `instrument` calls, with its answer
    if conflict:
        return str(conflict)
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(skip_dep_check=True)
        _running[value] = instrumentor
    return ""


def patch(module: ModuleType) -> None:
    """Keep instrumentors away from what we trace: `BaseInstrumentor.instrument`, and the `instrument_app` of some."""
    from fluoro.instrument import _patch

    base = getattr(module, "BaseInstrumentor", None)
    if base is None:
        return
    if base.__module__ == module.__name__:
        _patch.wrap(base, "instrument", _unless_ours)
        return
    for found in list(vars(module).values()):
        if isinstance(found, type) and issubclass(found, base) and "instrument_app" in vars(found):
            owner = found

            def wrapper(original: Callable[..., Any], *args: Any, _owner: type = owner, **kwargs: Any) -> Any:
                return None if _is_ours(_owner) else original(*args, **kwargs)

            _patch.wrap(owner, "instrument_app", wrapper)


def _unless_ours(original: Callable[..., Any], instrumentor: Any, *args: Any, **kwargs: Any) -> Any:
    return None if _is_ours(type(instrumentor)) else original(instrumentor, *args, **kwargs)


def _is_ours(cls: type) -> bool:
    """Whether a library of this instrumentor is patched by us, or will be; says so once."""
    from fluoro.instrument._patch import guarded

    return bool(guarded(_traced_by_us)(cls))


def _traced_by_us(cls: type) -> bool:
    value = f"{cls.__module__}:{cls.__qualname__}"
    found = next((each for each in installed(sys.path) if each.value == value), None)
    rows = covering(found, instrument.TABLE) if found is not None else []
    if not any(instrument.register.get(row.module, PATCHED) == PATCHED for row in rows):
        return False
    diagnostics.warn(
        f"otel twice {value}",
        f"{cls.__name__} does nothing: {_OURS}. To use it instead: FLUORO_DISABLE={rows[0].name}",
        every_s=float("inf"),
    )
    return True
