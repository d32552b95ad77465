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

    A `light` one begins no span, it only passes on what others began. Nearly every process imports its module, so it is
    patched without setting up the recorder, and its patch imports nothing that costs.
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


TABLE = (
    Target("requests", "requests", "fluoro.instrument.requests", "requests", "2.20"),
    Target("httpx", "httpx", "fluoro.instrument.httpx", "httpx", "0.24"),
    Target("flask", "flask", "fluoro.instrument.flask", "flask", "2.2"),
    Target("starlette", "starlette.applications", "fluoro.instrument.asgi", "starlette", "0.27"),
    Target("starlette", "fastapi.applications", "fluoro.instrument.asgi", "fastapi", "0.100"),
    Target("botocore", "botocore.client", "fluoro.instrument.botocore", "botocore", "1.29"),
    Target("sqlite3", "sqlite3", "fluoro.instrument.sqlite3"),
    Target("threading", "threading", "fluoro.instrument.threading", light=True),
    Target("futures", "concurrent.futures.thread", "fluoro.instrument.futures", light=True),
    Target("futures", "concurrent.futures.process", "fluoro.instrument.futures", light=True),
    Target("gevent", "gevent", "fluoro.instrument.gevent", "gevent", "22.10", light=True),
    Target("logging", "logging", "fluoro.instrument.logging", light=True),
    Target("opentelemetry", "opentelemetry.trace", "fluoro.otel.provider", "opentelemetry-api", "1.26"),
)

# name of the target's module → "patched", "disabled", or why it was left alone. What `fluoro doctor` will show.
register: dict[str, str] = {}


class _Finder:
    """Stands first in `sys.meta_path`, answers for the modules in the table only, and leaves each after its import.

    It lets the other finders find the module and has the found loader call us after it executed the module. The loader
    is as it was before the module is seen by anyone.
    """

    def __init__(self, pending: dict[str, Target], start: Callable[[], bool]) -> None:
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
        target = self.pending.pop(module.__name__, None)
        if target is None:
            return
        try:
            register[target.module] = _apply(target, module) if target.light or self.start() else "fluoro is off"
        except Exception as error:  # noqa: BLE001  the application's import must succeed
            register[target.module] = diagnostics.describe(error)
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
    pending = {}
    for target in table:
        if target.name in disabled:
            register[target.module] = "disabled"
        else:
            pending[target.module] = target
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
    unknown = sorted(set(disabled) - known)
    if unknown:
        raise SettingsError(f"FLUORO_DISABLE names {', '.join(unknown)}; write some of: {', '.join(sorted(known))}")


def uninstall() -> None:
    """Take back every patch and the import hook."""
    while _installed:
        finder = _installed.pop()
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
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
