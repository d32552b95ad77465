"""Fixed SQL statements live in `.sql` files beside the functions that run them."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.abc import Traversable


@cache
def statement(name: str) -> str:
    """The text of `{name}.sql`, wherever in `query/` it is: no two have one name."""
    return _paths()[name].read_text(encoding="utf-8")


@cache
def _paths() -> dict[str, Traversable]:
    home = resources.files(__package__)
    folders = [home, *(entry for entry in home.iterdir() if entry.is_dir())]
    files = [file for folder in folders for file in folder.iterdir() if file.name.endswith(".sql")]
    found = {file.name.removesuffix(".sql"): file for file in files}
    if len(found) < len(files):
        raise AssertionError("two statements have one name")
    return found
