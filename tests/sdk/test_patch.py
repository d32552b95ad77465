from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from fluoro import diagnostics, instrument
from fluoro.errors import SettingsError
from fluoro.instrument import Target, _patch, target

# ---- _patch --------------------------------------------------------------------------------------------------------


class Library:
    calls: list[str]

    def __init__(self) -> None:
        self.calls = []

    def send(self, x: int, *, y: int = 0) -> int:
        """Its documentation."""
        self.calls.append("send")
        if x < 0:
            raise KeyError(x)
        return x + y

    async def asend(self, x: int) -> int:
        if x < 0:
            raise KeyError(x)
        return x

    @staticmethod
    def static(x: int) -> int:
        return x

    @classmethod
    def klass(cls, x: int) -> tuple[type, int]:
        return cls, x


class Derived(Library):
    pass


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    _patch.undo_all()
    assert not _patch.is_patched(Library, "send")


@pytest.fixture
def seen() -> list[object]:
    return []


@pytest.fixture
def errors(monkeypatch) -> list[str]:
    caught: list[str] = []
    monkeypatch.setattr(diagnostics, "internal_error", lambda where, error: caught.append(f"{where} {error!r}"))
    return caught


def test_around_sees_the_arguments_and_the_result_and_changes_neither(seen):
    assert _patch.around(
        Library, "send", lambda *a, **k: seen.append((a[1:], k)) or "state", lambda *after: seen.append(after)
    )
    assert Library().send(1, y=2) == 3
    assert seen == [((1,), {"y": 2}), ("state", 3, None)]


def test_around_sees_the_exception_and_lets_the_same_one_through(seen):
    _patch.around(Library, "send", lambda *_: 1, lambda state, result, error: seen.append((state, result, error)))
    with pytest.raises(KeyError) as caught:
        Library().send(-1)
    assert seen == [(1, None, caught.value)]


def test_around_without_a_state_skips_after(seen):
    _patch.around(Library, "send", lambda *_: None, lambda *after: seen.append(after))
    assert Library().send(1) == 1
    assert seen == []


def test_around_awaits_a_coroutine_function_and_stays_one(seen):
    _patch.around(Library, "asend", lambda *_: 1, lambda *after: seen.append(after))
    assert inspect.iscoroutinefunction(Library.asend)
    assert asyncio.run(Library().asend(5)) == 5
    with pytest.raises(KeyError):
        asyncio.run(Library().asend(-1))
    assert seen[0] == (1, 5, None)
    assert isinstance(seen[1][2], KeyError)


def test_our_bugs_stop_here_and_the_call_is_made_once(errors):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    library = Library()
    _patch.around(Library, "send", broken, broken)
    assert library.send(1) == 1
    _patch.undo_all()
    _patch.around(Library, "send", lambda *_: 1, broken)
    assert library.send(1) == 1
    with pytest.raises(KeyError):
        library.send(-1)
    assert library.calls == ["send"] * 3
    assert len(errors) == 3
    assert all("broken ZeroDivisionError()" in line for line in errors)


def test_our_bugs_raise_under_test(spans):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    _patch.around(Library, "send", broken, broken)
    with pytest.raises(ZeroDivisionError):
        Library().send(1)


def test_wrap_passes_the_original_and_looks_like_it():
    signature = inspect.signature(Library.send)
    _patch.wrap(Library, "send", lambda send, self, x, **named: send(self, x * 10, **named))
    assert Library().send(2, y=1) == 21
    assert inspect.signature(Library.send) == signature
    assert Library.send.__doc__ == "Its documentation."


def test_a_plain_function_stays_one_for_whoever_looks():
    spec = inspect.getfullargspec(Library.send)
    _patch.wrap(Library, "send", lambda send, self, x, **named: send(self, x, **named))
    assert inspect.isfunction(Library.send)
    assert inspect.getfullargspec(Library.send) == spec
    assert pickle.loads(pickle.dumps(Library.send)) is Library.send
    with pytest.raises(TypeError):
        Library().send()  # type: ignore[call-arg]


def test_a_decorator_around_a_replacement_is_not_taken_for_one():
    _patch.wrap(Library, "send", lambda send, *args: send(*args))

    @functools.wraps(Library.send)
    def decorated(*args: object) -> object:
        return None

    module = ModuleType("m")
    module.send = decorated
    assert _patch.is_patched(Library, "send")
    assert not _patch.is_patched(module, "send")


def test_static_and_class_methods_stay_what_they_are():
    _patch.wrap(Library, "static", lambda original, x: original(x) + 1)
    _patch.wrap(Library, "klass", lambda original, cls, x: original(cls, x + 1))
    assert Library.static(1) == Library().static(1) == 2
    assert Derived.klass(1) == (Derived, 2)


def test_a_place_is_patched_once_and_restored_even_where_it_was_inherited():
    original = Library.send
    assert _patch.wrap(Derived, "send", lambda send, *args: send(*args) + 100)
    assert not _patch.wrap(Derived, "send", lambda send, *args: send(*args) + 100)
    assert (Derived().send(1), Library().send(1)) == (101, 1)
    _patch.undo_all()
    assert "send" not in vars(Derived)
    assert Derived.send is original


def test_a_missing_name_is_an_attribute_error():
    with pytest.raises(AttributeError):
        _patch.wrap(Library, "gone", lambda original: original())


def test_replace_is_undone_too():
    module = ModuleType("m")
    module.value = 1
    _patch.replace(module, "value", 2)
    _patch.replace(module, "new", 3)
    assert (module.value, module.new) == (2, 3)
    _patch.undo_all()
    assert vars(module).get("value") == 1
    assert not hasattr(module, "new")


# ---- the import hook -------------------------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder on sys.path; modules from it are forgotten afterwards, and so is the hook."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(instrument, "register", {})
    monkeypatch.setattr(instrument, "_installed", [])
    yield tmp_path
    instrument.uninstall()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)


PATCH = "from fluoro.instrument import _patch\ndef patch(module): _patch.wrap(module, 'f', lambda f: f() + ' traced')\n"


def install(*table: Target, disabled: frozenset[str] = frozenset(), start: object = lambda: True) -> None:
    instrument.install(disabled, start, table)


def test_a_module_is_patched_after_its_import_and_looks_untouched(library):
    write(library, "lib_a", "def f(): return 'f'\n")
    write(library, "lib_a_patch", PATCH)
    started = []
    install(Target("lib", "lib_a", "lib_a_patch"), start=lambda: started.append(1) or True)
    assert not started
    assert "lib_a_patch" not in sys.modules
    import lib_a

    assert lib_a.f() == "f traced"
    assert started
    assert instrument.register == {"lib_a": "patched"}
    assert "exec_module" not in vars(lib_a.__loader__)
    assert inspect.getsource(lib_a) == "def f(): return 'f'\n"
    instrument.uninstall()
    assert lib_a.f() == "f"


def test_a_module_that_was_imported_before_is_patched_in_place(library):
    write(library, "lib_b", "def f(): return 'f'\n")
    write(library, "lib_b_patch", PATCH)
    import lib_b

    install(Target("lib", "lib_b", "lib_b_patch"))
    assert lib_b.f() == "f traced"


def test_a_module_in_a_zip_file_is_patched_and_its_neighbours_are_not(library, monkeypatch):
    with zipfile.ZipFile(library / "bundle.zip", "w") as bundle:
        bundle.writestr("lib_zip.py", "import lib_zip_other\ndef f(): return 'f'\n")
        bundle.writestr("lib_zip_other.py", "def f(): return 'g'\n")
    monkeypatch.syspath_prepend(library / "bundle.zip")
    write(library, "lib_zip_patch", PATCH)
    install(Target("lib", "lib_zip", "lib_zip_patch"))
    import lib_zip
    import lib_zip_other

    assert (lib_zip.f(), lib_zip_other.f()) == ("f traced", "g")


def test_a_module_that_fails_to_import_fails_as_before_and_can_be_tried_again(library):
    write(
        library, "lib_c", "import sys\nif not hasattr(sys, 'lib_c_works'): raise OSError('no')\ndef f(): return 'f'\n"
    )
    write(library, "lib_c_patch", PATCH)
    install(Target("lib", "lib_c", "lib_c_patch"))
    with pytest.raises(OSError, match="no"):
        import lib_c
    sys.lib_c_works = True
    try:
        import lib_c
    finally:
        del sys.lib_c_works
    assert lib_c.f() == "f traced"


def test_a_patch_that_fails_is_undone_and_the_import_succeeds(library, errors):
    write(library, "lib_d", "def f(): return 'f'\n")
    write(library, "lib_d_patch", PATCH.replace("+ ' traced')", "+ ' traced'); 1 / 0"))
    install(Target("lib", "lib_d", "lib_d_patch"))
    import lib_d

    assert lib_d.f() == "f"
    assert instrument.register == {"lib_d": "ZeroDivisionError: division by zero"}
    assert errors == ["instrument.lib ZeroDivisionError('division by zero')"]


def test_what_is_disabled_or_off_is_not_patched(library):
    write(library, "lib_e", "def f(): return 'f'\n")
    write(library, "lib_f", "def f(): return 'f'\n")
    install(
        Target("e", "lib_e", "lib_x_patch"),
        Target("f", "lib_f", "lib_x_patch"),
        disabled=frozenset({"e"}),
        start=lambda: False,
    )
    import lib_e
    import lib_f

    assert (lib_e.f(), lib_f.f()) == ("f", "f")
    assert instrument.register == {"lib_e": "disabled", "lib_f": "fluoro is off"}


@pytest.mark.parametrize(
    ("minimum", "below", "state"),
    [
        ("0.1", "", "patched"),
        ("9999", "", "is older than 9999"),
        ("", "1.0", "is newer than what was tested (below 1.0)"),
    ],
)
def test_versions_outside_the_range_are_left_alone(library, monkeypatch, minimum, below, state):
    said: list[str] = []
    monkeypatch.setattr(diagnostics, "warn", lambda _kind, message, **_: said.append(message))
    write(library, "lib_g", "def f(): return 'f'\n")
    write(library, "lib_g_patch", PATCH)
    install(Target("lib", "lib_g", "lib_g_patch", "pytest", minimum, below))
    import lib_g

    assert instrument.register["lib_g"].endswith(state)
    assert lib_g.f() == ("f traced" if state == "patched" else "f")
    assert bool(said) == (state != "patched")


@pytest.mark.parametrize(
    ("version", "release"),
    [("1.26.0", (1, 26, 0)), ("2.0rc1", (2, 0)), ("3.1.post2", (3, 1)), ("4", (4,)), ("x", ())],
)
def test_release_numbers(version, release):
    assert target.release(version) == release


def test_an_unknown_name_to_disable_is_a_settings_error():
    with pytest.raises(SettingsError, match=r"FLUORO_DISABLE names reqests; did you mean .*requests\? `fluoro doctor`"):
        instrument.check_names({"reqests", "flask"})


def test_every_row_of_the_table_names_a_patch_that_exists():
    code = (
        "from importlib import import_module\nfrom importlib.util import find_spec\nfrom fluoro.instrument import TABLE\n"
        "for row in TABLE:\n"
        "    if row.distribution != 'mysqlclient' or find_spec('MySQLdb'):\n"  # the only one that may be missing
        "        assert callable(import_module(row.patch).patch), row.patch\n"
    )
    env = {"PYTHONPATH": str(Path(instrument.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
