"""Imports in an order that nobody planned: ours before the library's, two threads at once, lazily, again, or not at all."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluoro import instrument
from fluoro.instrument import Target, _patch, target
from fluoro.run import BOOTSTRAP

PATCH = "def patch(module): _patch.wrap(module, 'f', lambda f: f() + ' traced')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """On sys.path; modules from it are forgotten afterwards, and so is the hook."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(instrument, "register", {})
    monkeypatch.setattr(instrument, "_installed", [])
    complete = set(target.complete)
    target.complete.clear()
    yield tmp_path
    target.complete.update(complete)
    instrument.uninstall()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)


def install(*table: Target) -> None:
    instrument.install((), lambda: True, table)


def test_our_module_imported_before_the_library_patches_it_when_it_is_complete(folder: Path) -> None:
    write(folder, "lib_first", "def f(): return 'f'\n")
    write(folder, "lib_first_patch", "import lib_first\nfrom fluoro.instrument import _patch\n" + PATCH)
    install(Target("lib", "lib_first", "lib_first_patch"))
    importlib.import_module("lib_first_patch")
    assert instrument.register == {"lib_first": "patched"}
    assert importlib.import_module("lib_first").f() == "f traced"


def test_a_module_of_ours_that_patches_two_libraries_and_imports_the_second(folder: Path) -> None:
    write(folder, "lib_one", "def f(): return 'one'\n")
    write(folder, "lib_two", "import lib_one\ndef f(): return 'two'\n")
    write(folder, "lib_both_patch", "import lib_two\nfrom fluoro.instrument import _patch\n" + PATCH)
    install(Target("lib", "lib_one", "lib_both_patch"), Target("lib", "lib_two", "lib_both_patch"))
    one, two = importlib.import_module("lib_one"), importlib.import_module("lib_two")
    assert (one.f(), two.f()) == ("one traced", "two traced")
    assert instrument.register == {"lib_one": "patched", "lib_two": "patched"}


def test_two_threads_that_need_each_others_modules_do_not_stop(folder: Path) -> None:
    slow = "import time\ntime.sleep(0.05)\n"
    write(folder, "lib_left", slow + "def f(): return 'left'\n")
    write(folder, "lib_right", slow + "def f(): return 'right'\n")
    write(
        folder, "lib_cross_patch", "import lib_right, lib_left\nfrom fluoro.instrument import _patch\n" + slow + PATCH
    )
    install(Target("lib", "lib_left", "lib_cross_patch"), Target("lib", "lib_right", "lib_cross_patch"))
    threads = [
        threading.Thread(target=importlib.import_module, args=(name,), daemon=True)
        for name in ("lib_left", "lib_right", "lib_cross_patch")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert instrument.register == {"lib_left": "patched", "lib_right": "patched"}
    assert sys.modules["lib_left"].f() + sys.modules["lib_right"].f() == "left tracedright traced"


def test_a_lazy_import_is_patched_when_it_happens(folder: Path) -> None:
    write(folder, "lib_lazy", "def f(): return 'f'\n")
    write(folder, "lib_lazy_patch", "from fluoro.instrument import _patch\n" + PATCH)
    install(Target("lib", "lib_lazy", "lib_lazy_patch"))
    spec = importlib.util.find_spec("lib_lazy")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lib_lazy"] = module
    spec.loader.exec_module(module)
    assert module.f() == "f traced"


def test_a_reload_works_and_uninstalling_after_it_too(folder: Path) -> None:
    write(folder, "lib_again", "def f(): return 'f'\n")
    write(folder, "lib_again_patch", "from fluoro.instrument import _patch\n" + PATCH)
    install(Target("lib", "lib_again", "lib_again_patch"))
    module = importlib.import_module("lib_again")
    assert module.f() == "f traced"
    assert importlib.reload(module).f() == "f"  # untraced, and as the application wanted it: new
    fresh = module.f
    instrument.uninstall()
    assert module.f is fresh


class Library:
    def call(self) -> str:
        return "done"


def test_what_the_application_put_in_our_place_stays_when_we_leave() -> None:
    original = Library.call
    with pytest.MonkeyPatch.context() as by_the_application:
        seen: list[str] = []
        _patch.wrap(Library, "call", lambda call, self: seen.append("ours") or call(self))
        ours = Library.call
        by_the_application.setattr(Library, "call", lambda self: ours(self) + " and more")
        theirs = Library.call
        _patch.undo_all()
        assert Library.call is theirs
        assert Library().call() == "done and more"
        assert seen == []  # ours is still inside, and does nothing
    Library.call = original  # type: ignore[method-assign]


def test_what_the_application_took_back_before_us_stays_as_it_is() -> None:
    original = Library.call
    with pytest.MonkeyPatch.context() as by_the_application:
        by_the_application.setattr(Library, "call", lambda _: "a stub")
        _patch.wrap(Library, "call", lambda call, self: call(self))
    assert Library.call is original
    _patch.undo_all()
    assert Library.call is original  # not the stub that was there when we came


CODE = """
import importlib.util, sys
from fluoro import instrument
instrument.install((), lambda: True)
row = instrument.TABLE[int(sys.argv[2])]
if importlib.util.find_spec(row.module.partition(".")[0]) is None:
    sys.exit()  # not installed here
if sys.argv[1] == "ours":
    importlib.import_module(row.patch)
try:
    importlib.import_module(row.module)
except ModuleNotFoundError:
    sys.exit()  # not installed here
table = {row.module for row in instrument.TABLE}
print({name: state for name, state in instrument.register.items() if name in table and state != "patched"} or "")
"""


@pytest.mark.matrix
@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("row", range(len(instrument.TABLE)), ids=[row.module for row in instrument.TABLE])
def test_each_row_alone_in_a_process_whichever_comes_first(row: int, first: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", CODE, first, str(row)]
    environment = {"PYTHONPATH": str(BOOTSTRAP.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
