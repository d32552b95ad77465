"""Every function and method that a module of the program defines, captured; in packages also those of what is below."""

from __future__ import annotations

import logging
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable
from inspect import isclass, isfunction
from types import ModuleType
from typing import Any

from wrapt import when_imported

from fluoro.compat.aws_xray_sdk.core.models.subsegment import is_already_recording

log = logging.getLogger(__name__)

_captured: set[str] = set()


def capture(name: str, ignored: Iterable[re.Pattern[str]]) -> None:
    """Of `name` and the modules below it, now or when they are imported, once. Those whose name starts as one of
    `ignored` does are left alone.
    """
    if name.startswith("."):
        raise Exception(f"relative packages not supported for patching: {name}")  # noqa: TRY002  the original's
    patterns = list(ignored)
    _capture_one(name, patterns)
    for _, below, is_package in pkgutil.iter_modules([name.replace(".", "/")]):
        if is_package:
            capture(f"{name}.{below}", patterns)
        else:
            _capture_one(f"{name}.{below}", patterns)


def _capture_one(name: str, ignored: list[re.Pattern[str]]) -> None:
    if name in _captured or any(pattern.match(name) for pattern in ignored):
        return
    _captured.add(name)
    if name in sys.modules:
        _capture_members(sys.modules[name], sys.modules[name])
    else:
        when_imported(name)(lambda module: _capture_members(module, module))


def _capture_members(owner: Any, module: ModuleType) -> None:
    """Functions, methods and static methods that `owner` (the module, or a class in it) defines itself."""
    for name, member in list(vars(owner).items()):
        if isclass(member):
            if member.__module__ == module.__name__:
                _capture_members(member, module)
            continue
        function = member.__func__ if isinstance(member, staticmethod) else member
        if isinstance(member, classmethod):
            log.warning("%s.%s is a class method: decorate it where it is defined", owner.__name__, name)
        elif isfunction(function) and not is_already_recording(function) and function.__module__ == module.__name__:
            _replace(owner, name, function, staticmethod if isinstance(member, staticmethod) else None)


def _replace(owner: Any, name: str, function: Callable[..., Any], kind: type[staticmethod[..., Any]] | None) -> None:
    from fluoro.compat.aws_xray_sdk.core import xray_recorder

    called = f"{owner.__name__}.{name}" if name.startswith("__") and name.endswith("__") else name
    captured = xray_recorder.capture(called)(function)
    setattr(owner, name, captured if kind is None else kind(captured))
