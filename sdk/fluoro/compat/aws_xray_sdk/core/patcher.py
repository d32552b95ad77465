"""`patch` and `patch_all`: libraries by fluoro's instrumentations, modules of the program by wrapping its functions."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

from fluoro import activation, instrument
from fluoro.compat.aws_xray_sdk import global_sdk_config
from fluoro.compat.aws_xray_sdk.core import _own_modules
from fluoro.compat.aws_xray_sdk.core._choices import choices
from fluoro.switch import names

log = logging.getLogger(__name__)

# The SDK's name → fluoro's.
_NAMES = {
    "aiobotocore": ("aiobotocore",),
    "aioboto3": ("aiobotocore",),
    "botocore": ("botocore",),
    "boto3": ("botocore",),
    "pynamodb": ("botocore", "pynamodb"),
    "requests": ("requests",),
    "sqlite3": ("sqlite3",),
    "mysql": ("mysql-connector",),
    "httplib": ("http.client",),
    "pymongo": ("pymongo",),
    "pymysql": ("pymysql",),
    "psycopg2": ("psycopg2",),
    "psycopg": ("psycopg",),
    "pg8000": ("pg8000",),
    "sqlalchemy_core": ("sqlalchemy",),
    "httpx": ("httpx",),
}
SUPPORTED_MODULES = tuple(name for name in _NAMES if name not in ("aioboto3", "boto3"))
NO_DOUBLE_PATCH = tuple(name for name in SUPPORTED_MODULES if name != "httplib")


def patch_all(double_patch: bool = False) -> None:  # noqa: ARG001  no call is recorded twice
    """Trace every library that fluoro knows, web frameworks and threads included: the same as `fluoro.install()`."""
    if not global_sdk_config.sdk_enabled():
        log.debug("nothing is patched: the SDK is disabled")
        return
    choices.start()
    activation.install(choices.settings())


def patch(
    modules_to_patch: Iterable[str],
    raise_errors: bool = True,  # noqa: ARG001  an instrumentation that fails disables itself and says so
    ignore_module_patterns: Iterable[str] | None = None,
) -> None:
    """Trace the libraries named, by the SDK's names or fluoro's; each when it is imported. A module or package below the
    working directory has its functions and methods captured, but for those of modules that a pattern (a regular
    expression) fits. Raises Exception for anything else.
    """
    wanted = list(modules_to_patch)
    if not global_sdk_config.sdk_enabled():
        log.debug("%s not patched: the SDK is disabled", ", ".join(wanted))
        return
    known = {target.name for target in instrument.TABLE}
    libraries: set[str] = set()
    own: list[str] = []
    unknown: list[str] = []
    for name in wanted:
        if name in _NAMES:
            libraries.update(_NAMES[name])
        elif _is_ours(name):
            own.append(name)
        elif name in known:
            libraries.add(name)
        else:
            unknown.append(name)
    if unknown:
        raise Exception(f"modules {', '.join(unknown)} are currently not supported for patching")  # noqa: TRY002  the original's
    enable(libraries)
    patterns = [re.compile(pattern) for pattern in ignore_module_patterns or ()]
    for name in own:
        _own_modules.capture(name, patterns)


def enable(libraries: Iterable[str], *modules: str) -> None:
    """Patch these of fluoro's instrumentations, except those that FLUORO_DISABLE names; with `modules` only there."""
    table = [target for target in instrument.TABLE if not modules or target.module in modules]
    instrument.enable(set(libraries) - names(os.environ.get("FLUORO_DISABLE", "")), choices.start, table)


def _is_ours(name: str) -> bool:
    """Whether `name` is a module or package below the working directory; ".name" is, to be refused."""
    path = Path(name.replace(".", "/"))
    return (path / "__init__.py").is_file() or path.with_name(path.name + ".py").is_file()
