"""Which libraries are traced, and when they are patched: the moment the application has imported them, never earlier.

An instrumentation is one module `fluoro.instrument.<library>` with one function

    def patch(module: ModuleType) -> None: ...

which gets the imported module and replaces functions through `_patch`. It runs inside the application's `import`; what
it raises is logged, its half-done patches are undone, and the library stays untraced. This module is loaded at the
start of every traced process, so it imports nothing but what the interpreter has loaded already.
"""

from __future__ import annotations

import sys

from fluoro import diagnostics
from fluoro.errors import SettingsError

TYPE_CHECKING = False  # see the last sentence above
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class Target:
    """One row of the table: after `module` is imported, `patch` (a module of ours) is called for it.

    `name` is what FLUORO_DISABLE takes; rows of one library share it. Versions of `distribution` outside
    [`minimum`, `below`) are left alone; "" is no bound. `distribution` "" belongs to Python itself.

    A `light` one is of a module that many processes import and few use. So it is patched without setting up the recorder,
    and its patch imports nothing that costs: it only passes on spans that others began, or begins to work with the first
    call (`_first_use`).
    """

    __slots__ = ("below", "distribution", "light", "minimum", "module", "name", "patch")

    def __init__(
        self,
        name: str,
        module: str,
        patch: str,
        distribution: str = "",
        minimum: str = "",
        below: str = "",
        *,
        light: bool = False,
    ) -> None:
        self.name = name
        self.module = module
        self.patch = patch
        self.distribution = distribution
        self.minimum = minimum
        self.below = below
        self.light = light

    @property
    def key(self) -> str:
        """Its entry in `register`."""
        return self.module

    def apply(self, module: ModuleType) -> str:
        """Patch `module`; "patched", or why not."""
        return _apply(self, module)


TABLE = (
    Target("requests", "requests", "fluoro.instrument.requests", "requests", "2.20"),
    Target("httpx", "httpx", "fluoro.instrument.httpx", "httpx", "0.24"),
    Target("aiohttp", "aiohttp", "fluoro.instrument.aiohttp_client", "aiohttp", "3.8"),
    Target("http.client", "http.client", "fluoro.instrument.http_client", light=True),
    Target("tornado", "tornado.httpclient", "fluoro.instrument.tornado_client", "tornado", "6.1"),
    Target("urllib", "urllib.request", "fluoro.instrument.urllib", light=True),
    Target("urllib3", "urllib3", "fluoro.instrument.urllib3", "urllib3", "1.24"),
    Target("flask", "flask", "fluoro.instrument.flask", "flask", "2.2"),
    Target("django", "django.core.handlers.base", "fluoro.instrument.django", "django", "3.2"),
    Target("django", "django.core.handlers.wsgi", "fluoro.instrument.django", "django", "3.2"),
    Target("django", "django.core.handlers.asgi", "fluoro.instrument.django", "django", "3.2"),
    Target("django", "django.contrib.staticfiles.handlers", "fluoro.instrument.django", "django", "3.2"),
    Target("django", "django.db.backends.sqlite3.base", "fluoro.instrument.django", "django", "3.2"),
    Target("bottle", "bottle", "fluoro.instrument.bottle", "bottle", "0.12.19"),
    Target("falcon", "falcon.app", "fluoro.instrument.falcon", "falcon", "3.0"),
    Target("falcon", "falcon.asgi.app", "fluoro.instrument.falcon", "falcon", "3.0"),
    Target("pyramid", "pyramid.router", "fluoro.instrument.pyramid", "pyramid", "1.10"),
    Target("wsgi", "wsgiref.handlers", "fluoro.instrument.wsgiref", light=True),
    Target("wsgi", "werkzeug.serving", "fluoro.instrument.wsgi", "werkzeug", "2.2"),
    Target("wsgi", "gunicorn.workers.base", "fluoro.instrument.wsgi", "gunicorn", "20.1"),
    Target("wsgi", "waitress.server", "fluoro.instrument.wsgi", "waitress", "2.0"),
    Target("wsgi", "cheroot.wsgi", "fluoro.instrument.wsgi", "cheroot", "8.4"),
    Target("wsgi", "gevent.pywsgi", "fluoro.instrument.wsgi", "gevent", "21.12"),
    Target("starlette", "starlette.applications", "fluoro.instrument.asgi", "starlette", "0.27"),
    Target("fastapi", "fastapi.applications", "fluoro.instrument.asgi", "fastapi", "0.100"),
    Target("litestar", "litestar.app", "fluoro.instrument.litestar", "litestar", "2.12"),
    Target("quart", "quart.app", "fluoro.instrument.quart", "quart", "0.18"),
    Target("sanic", "sanic.app", "fluoro.instrument.sanic", "sanic", "22.12"),
    Target("aiohttp", "aiohttp.web_protocol", "fluoro.instrument.aiohttp_server", "aiohttp", "3.8"),
    Target("tornado", "tornado.web", "fluoro.instrument.tornado_server", "tornado", "6.1"),
    Target("tornado", "tornado.websocket", "fluoro.instrument.tornado_server", "tornado", "6.1"),
    Target("asgi", "uvicorn.config", "fluoro.instrument.asgi_servers", "uvicorn", "0.20"),
    Target("asgi", "uvicorn.server", "fluoro.instrument.asgi_servers", "uvicorn", "0.20"),
    Target("asgi", "hypercorn.app_wrappers", "fluoro.instrument.asgi_servers", "hypercorn", "0.14"),
    Target("botocore", "botocore.client", "fluoro.instrument.botocore", "botocore", "1.29"),
    Target("botocore", "boto3.resources.action", "fluoro.instrument.boto3", "boto3", "1.26"),
    Target("aiobotocore", "aiobotocore.client", "fluoro.instrument.aiobotocore", "aiobotocore", "2.5"),
    Target("pynamodb", "pynamodb.connection.base", "fluoro.instrument.pynamodb", "pynamodb", "5.3.2"),
    Target("sqlite3", "sqlite3", "fluoro.instrument.sqlite3"),
    Target("aiosqlite", "aiosqlite", "fluoro.instrument.aiosqlite", "aiosqlite", "0.17"),
    Target("asyncpg", "asyncpg", "fluoro.instrument.asyncpg", "asyncpg", "0.27"),
    Target(
        "mysql-connector", "mysql.connector", "fluoro.instrument.mysql_connector", "mysql-connector-python", "8.0.29"
    ),
    Target("mysqlclient", "MySQLdb", "fluoro.instrument.mysqlclient", "mysqlclient", "2.1"),
    Target("pg8000", "pg8000", "fluoro.instrument.pg8000", "pg8000", "1.29"),
    Target("psycopg", "psycopg", "fluoro.instrument.psycopg", "psycopg", "3.1"),
    Target("psycopg2", "psycopg2", "fluoro.instrument.psycopg2", "psycopg2", "2.9"),
    Target("pymysql", "pymysql", "fluoro.instrument.pymysql", "pymysql", "1.0"),
    Target("sqlalchemy", "sqlalchemy", "fluoro.instrument.sqlalchemy", "sqlalchemy", "1.4"),
    Target("redis", "redis", "fluoro.instrument.redis", "redis", "4.0"),
    Target("pymongo", "pymongo.monitoring", "fluoro.instrument.pymongo", "pymongo", "4.0"),
    Target("celery", "celery.app.base", "fluoro.instrument.celery", "celery", "5.2"),
    Target("celery", "celery.app.trace", "fluoro.instrument.celery_worker", "celery", "5.2"),
    Target("celery", "celery.concurrency.prefork", "fluoro.instrument.celery_worker", "celery", "5.2"),
    Target("celery", "kombu.messaging", "fluoro.instrument.kombu", "kombu", "5.2"),
    Target("celery", "kombu.transport.redis", "fluoro.instrument.kombu", "kombu", "5.2"),
    Target("grpc", "grpc", "fluoro.instrument.grpc_server", "grpcio", "1.50"),
    Target("grpc", "grpc._channel", "fluoro.instrument.grpc_client", "grpcio", "1.50"),
    Target("grpc", "grpc.aio._channel", "fluoro.instrument.grpc_client", "grpcio", "1.50"),
    Target("lambda", "awslambdaric.bootstrap", "fluoro.instrument.aws_lambda", "awslambdaric", "2.0"),
    Target("threading", "threading", "fluoro.instrument.threading", light=True),
    Target("futures", "concurrent.futures.thread", "fluoro.instrument.futures", light=True),
    Target("futures", "concurrent.futures.process", "fluoro.instrument.futures", light=True),
    Target("gevent", "gevent", "fluoro.instrument.gevent", "gevent", "22.10", light=True),
    Target("logging", "logging", "fluoro.instrument.logging", light=True),
    Target("opentelemetry", "opentelemetry.trace", "fluoro.otel.provider", "opentelemetry-api", "1.26"),
    Target(
        "opentelemetry",
        "opentelemetry.instrumentation.instrumentor",
        "fluoro.otel.instrumentors",
        "opentelemetry-instrumentation",
    ),
    Target(
        "opentelemetry",
        "opentelemetry.instrumentation.fastapi",
        "fluoro.otel.instrumentors",
        "opentelemetry-instrumentation-fastapi",
    ),
    Target(
        "opentelemetry",
        "opentelemetry.instrumentation.flask",
        "fluoro.otel.instrumentors",
        "opentelemetry-instrumentation-flask",
    ),
    Target(
        "opentelemetry",
        "opentelemetry.instrumentation.starlette",
        "fluoro.otel.instrumentors",
        "opentelemetry-instrumentation-starlette",
    ),
)

# name of the target's module ("otel:" and the name of an OpenTelemetry instrumentor) → "patched", "disabled", or why it
# was left alone. What `fluoro doctor` will show.
register: dict[str, str] = {}


class _Finder:
    """Stands first in `sys.meta_path`, answers for the modules in the table only, and leaves each after its import.

    It lets the other finders find the module and has the found loader call us after it executed the module. The loader
    is as it was before the module is seen by anyone.
    """

    def __init__(self, pending: dict[str, list[Target]], start: Callable[[], bool]) -> None:
        self.pending = pending
        self.start = start

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.pending:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                self._hook(spec)
                return spec
        return None

    def _hook(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if loader is None or execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            # A loader can serve several modules (a zip file's does); the others are none of our business.
            if module.__name__ == spec.name:
                vars(loader).pop("exec_module", None)
            execute(module)
            if module.__name__ == spec.name:
                self.imported(module)

        try:
            loader.exec_module = exec_module  # type: ignore[method-assign]
        except AttributeError:  # a loader that is a class or has slots: a built-in module, none of which is traced
            register[spec.name] = "its loader cannot be hooked"

    def imported(self, module: ModuleType) -> None:
        """Patch `module`, once. Never raises, except under test."""
        for target in self.pending.pop(module.__name__, ()):
            try:
                register[target.key] = target.apply(module) if target.light or self.start() else "fluoro is off"
            except Exception as error:  # noqa: BLE001  the application's import must succeed
                register[target.key] = diagnostics.describe(error)
                diagnostics.internal_error(f"instrument.{target.name}", error)


_installed: list[_Finder] = []


def install(disabled: Collection[str], start: Callable[[], bool], table: Sequence[Target] = TABLE) -> None:
    """Patch the modules of `table` that are imported already now, and the others when they are imported. `start` is
    called before each patch and sets up the recorder; when it answers False nothing is patched. `disabled` holds names
    not to patch; SettingsError for an unknown one. A second call does nothing.
    """
    if _installed:
        return
    check_names(disabled, table)
    pending: dict[str, list[Target]] = {}
    for target in (*table, *_foreign(disabled, table)):
        if target.name in disabled:
            register[target.key] = "disabled"
        else:
            pending.setdefault(target.module, []).append(target)
    finder = _Finder(pending, start)
    _installed.append(finder)
    sys.meta_path.insert(0, finder)
    for name in list(pending):
        module = sys.modules.get(name)
        if module is not None and not _is_being_imported(module):
            finder.imported(module)


def start() -> bool:
    """Set up the recorder in this process if it is traced and has not done so; whether spans are recorded now."""
    return bool(_installed) and _installed[0].start()


def check_names(disabled: Collection[str], table: Sequence[Target] = TABLE) -> None:
    """SettingsError if FLUORO_DISABLE names something that is not traced."""
    known = {target.name for target in table}
    unknown = set(disabled) - known
    if unknown:
        from fluoro.otel import discovery, instrumentors

        known |= instrumentors.KNOWN
        unknown -= known | {found.name.lower() for found in discovery.installed(sys.path)}
    if unknown:
        raise SettingsError(
            f"FLUORO_DISABLE names {', '.join(sorted(unknown))}; write some of: {', '.join(sorted(known))}"
        )


def _foreign(disabled: Collection[str], table: Sequence[Target]) -> Sequence[Target]:
    """The rows for OpenTelemetry instrumentors that are installed."""
    if table is not TABLE:
        return ()
    from fluoro.otel.instrumentors import plan

    try:
        return plan(disabled, table, sys.path)
    except Exception as error:  # noqa: BLE001  other people's metadata; our own table still counts
        diagnostics.internal_error("otel.plan", error)
        return ()


def uninstall() -> None:
    """Take back every patch and the import hook."""
    while _installed:
        finder = _installed.pop()
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
    if "fluoro.otel.instrumentors" in sys.modules:
        from fluoro.otel import instrumentors

        instrumentors.stop()
    if "fluoro.instrument._replaced" in sys.modules:
        from fluoro.instrument import _replaced

        _replaced.undo_all()
    register.clear()


def _apply(target: Target, module: ModuleType) -> str:
    from importlib import import_module

    from fluoro.instrument import _replaced

    refusal = _unsupported(target)
    if refusal:
        diagnostics.warn(f"version {target.name}", f"{target.name} is not traced: {refusal}", every_s=float("inf"))
        return refusal
    before = _replaced.patched_count()
    try:
        import_module(target.patch).patch(module)
    except BaseException:
        _replaced.undo_since(before)
        raise
    return "patched"


def _unsupported(target: Target) -> str:
    """Why this version cannot be patched, or ""."""
    if not target.distribution or not (target.minimum or target.below):
        return ""
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(target.distribution)
    except PackageNotFoundError:  # vendored or on a bare path: try
        return ""
    if target.minimum and _release(found) < _release(target.minimum):
        return f"{target.distribution} {found} is older than {target.minimum}"
    if target.below and _release(found) >= _release(target.below):
        return f"{target.distribution} {found} is newer than what was tested (below {target.below})"
    return ""


def _release(version: str) -> tuple[int, ...]:
    """`1.26.0rc1` → (1, 26, 0)."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def _is_being_imported(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
