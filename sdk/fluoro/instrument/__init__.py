"""Which libraries are traced, and when they are patched: the moment the application has imported them, never earlier.

An instrumentation is one module `fluoro.instrument.<library>` with one function

    def patch(module: ModuleType) -> None: ...

which gets the imported module and replaces functions through `_patch`. It runs inside the application's `import`; what
it raises is logged, its half-done patches are undone, and the library stays untraced. Which library has which is said in
`table`. This module is loaded at the start of every traced process, so it imports nothing but what the interpreter has
loaded already.
"""

from __future__ import annotations

import sys

from fluoro import diagnostics
from fluoro.errors import SettingsError
from fluoro.instrument.table import TABLE
from fluoro.instrument.target import NotYet, Target, complete, is_being_imported

__all__ = ["TABLE", "Target", "check_names", "enable", "install", "register", "start", "uninstall"]

TYPE_CHECKING = False  # see the last sentence above
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


# name of the target's module ("otel:" and the name of an OpenTelemetry instrumentor) → "patched", "disabled", or why it
# was left alone. What `fluoro doctor` will show.
register: dict[str, str] = {}


class _Finder:
    """Stands first in `sys.meta_path`, answers for the modules in the table only, and leaves each after its import.

    It lets the other finders find the module and has the found loader call us after it executed the module. The loader
    is as it was before the module is seen by anyone.
    """

    partial = False  # made by `enable`: `install` has more to add

    def __init__(self, pending: dict[str, list[Target]], start: Callable[[], bool]) -> None:
        self.pending = pending
        self.start = start
        self.ours = frozenset(target.patch for targets in pending.values() for target in targets)
        self.postponed: dict[str, list[tuple[Target, ModuleType]]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.pending and name not in self.ours:
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
        name = module.__name__
        for target in self.pending.pop(name, ()):
            self._patch(target, module)
        if name in self.ours:
            complete.add(name)
            self._catch_up(name)

    def _patch(self, target: Target, module: ModuleType) -> None:
        try:
            register[target.key] = target.apply(module) if target.light or self.start() else "fluoro is off"
        except NotYet:
            self._postpone(target, module)
        except Exception as error:  # noqa: BLE001  the application's import must succeed
            register[target.key] = diagnostics.describe(error)
            diagnostics.internal_error(f"instrument.{target.name}", error)

    def _postpone(self, target: Target, module: ModuleType) -> None:
        """A module of ours imports the library that it patches, or another that it patches too; or two threads import
        both, and the import system lets one of them go on with half a module. It patches when it is complete.
        """
        register[target.key] = f"waits for {target.patch}, which is being imported"
        self.postponed.setdefault(target.patch, []).append((target, module))
        if target.patch in complete:  # meanwhile, in another thread
            self._catch_up(target.patch)

    def _catch_up(self, ours: str) -> None:
        waiting = self.postponed.get(ours, [])
        while waiting:
            try:
                target, module = waiting.pop()
            except IndexError:  # another thread took it
                return
            self._patch(target, module)


_installed: list[_Finder] = []


def install(disabled: Collection[str], start: Callable[[], bool], table: Sequence[Target] = TABLE) -> None:
    """Patch the modules of `table` that are imported already now, and the others when they are imported. `start` is
    called before each patch and sets up the recorder; when it answers False nothing is patched. `disabled` holds names
    not to patch; SettingsError for an unknown one. A second call does nothing.
    """
    if _installed:
        if _installed[0].partial:
            _installed[0].partial = False
            rows = (*table, *_foreign(disabled, table))
            enable({target.name for target in rows} - set(disabled), start, rows)
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
        if module is not None and not is_being_imported(module):
            finder.imported(module)


def enable(wanted: Collection[str], start: Callable[[], bool], table: Sequence[Target] = TABLE) -> None:
    """Patch the libraries called `wanted` besides those that are patched or waited for already: as `install`, one by one.
    What `install` was told to leave alone stays so.
    """
    if not _installed:
        finder = _Finder({}, start)
        finder.partial = True
        _installed.append(finder)
        sys.meta_path.insert(0, finder)
    finder = _installed[0]
    added = []
    for target in table:
        waiting = finder.pending.get(target.module, ())
        if target.name in wanted and target.key not in register and target not in waiting:
            finder.pending.setdefault(target.module, []).append(target)
            added.append(target.module)
    for name in added:
        module = sys.modules.get(name)
        if module is not None and not is_being_imported(module):
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
        from difflib import get_close_matches

        near = sorted({match for name in unknown for match in get_close_matches(name, known)})
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise SettingsError(f"FLUORO_DISABLE names {', '.join(sorted(unknown))}; {hint}`fluoro doctor` lists the names")


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
