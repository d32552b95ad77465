"""Compare the public names of the AWS X-Ray SDK's modules with fluoro's. A program, because importing them patches things:

python tests/xray_surface.py     prints {module: [what is missing or takes other arguments]}
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import pkgutil
import warnings
from types import ModuleType
from typing import Any

import aws_xray_sdk

OURS = "fluoro.compat.aws_xray_sdk"

_DRIVERS = "the instrumentation is fluoro's own; `patch` switches it on"
_POLLING = "central sampling is fluoro.sampling's"
# Modules that do not exist here, and why.
MODULES = {
    **dict.fromkeys(
        (
            "ext.aiobotocore", "ext.aiobotocore.patch", "ext.botocore", "ext.botocore.patch", "ext.httplib.patch",
            "ext.httpx", "ext.httpx.patch", "ext.mysql", "ext.mysql.patch", "ext.pg8000", "ext.pg8000.patch",
            "ext.psycopg", "ext.psycopg.patch", "ext.psycopg2", "ext.psycopg2.patch", "ext.pymongo", "ext.pymongo.patch",
            "ext.pymysql", "ext.pymysql.patch", "ext.pynamodb", "ext.pynamodb.patch", "ext.requests",
            "ext.requests.patch", "ext.sqlalchemy_core", "ext.sqlalchemy_core.patch", "ext.sqlite3", "ext.sqlite3.patch",
            "ext.boto_utils", "ext.dbapi2", "ext.django.db", "ext.django.templates", "ext.sqlalchemy.util",
            "ext.sqlalchemy.util.decorators",
        ),
        _DRIVERS,
    ),
    **dict.fromkeys(
        (
            "core.sampling.connector", "core.sampling.reservoir", "core.sampling.rule_cache", "core.sampling.rule_poller",
            "core.sampling.sampling_rule", "core.sampling.target_poller", "core.sampling.local.reservoir",
            "core.sampling.local.sampling_rule",
        ),
        _POLLING,
    ),
    **dict.fromkeys(
        ("core.plugins.ec2_plugin", "core.plugins.ecs_plugin", "core.plugins.elasticbeanstalk_plugin"),
        "fluoro.detection looks where the process runs",
    ),
    "core.models.throwable": "exceptions are fluoro.causes'",
    "core.utils.atomic_counter": "nothing is counted",
    "core.utils.compat": "helpers of the original's patcher",
    "ext.flask_sqlalchemy.query": "needs Flask-SQLAlchemy 2, which runs with no Flask that is tested here",
}  # fmt: skip

# Names that are left out, and why. A name alone counts in every module and class.
_STREAMING = "an entity is sent when it ends"
_INTERNAL = "not for programs"
NAMES = {
    **dict.fromkeys(
        ("increment", "decrement_ref_counter", "decrement_subsegments_size", "get_total_subsegments_size"), _STREAMING
    ),
    **dict.fromkeys(
        (
            "set_as_recording", "subsegment_decorator", "SUBSEGMENT_RECORDING_ATTRIBUTE", "ORIGIN_TRACE_HEADER_ATTR_KEY",
            "TaskLocalStorage", "task_factory", "TOUCH_FILE_DIR", "TOUCH_FILE_PATH", "XRAY_META", "SERVICE_INFO",
            "get_plugin_modules", "module_prefix", "first_cap_re", "all_cap_re", "get_exception_info",
            "SUPPORTED_RULE_VERSION", "USER_AGENT_KEY", "X_FORWARDED_KEY", "REMOTE_ADDR_KEY", "HOST_KEY",
            "CONTENT_LENGTH_KEY", "annotation_value_types", "VERSION", "LOCAL_NAMESPACE", "LOCAL_EXCEPTIONS", "begin_subsegment", "end_subsegment",
            "end_subsegment_with_exception",
        ),
        _INTERNAL,
    ),
    "default_app_config": "Django finds the one application of a module itself",
    "process_exception": "fluoro's instrumentation of Django sees exceptions",
    "unpatch": "`fluoro.uninstall()` takes back all patches",
    "start": _POLLING,
    "load_settings": _POLLING,
    "xray_client": _POLLING,
}  # fmt: skip
# Still methods of the recorder, though the names stand above for functions of ext.aiohttp.client.
PRESENT = {("AWSXRayRecorder", "begin_subsegment"), ("AWSXRayRecorder", "end_subsegment")}


def modules() -> list[str]:
    found = [
        module.name for module in pkgutil.walk_packages(aws_xray_sdk.__path__, "aws_xray_sdk.", onerror=lambda _: None)
    ]
    return sorted(name.removeprefix("aws_xray_sdk.") for name in found)


def public(owner: Any, origin: str) -> dict[str, Any]:
    """What `owner` defines itself."""
    found = {}
    for name, value in vars(owner).items():
        elsewhere = getattr(value, "__module__", origin) if isinstance(owner, ModuleType) else origin
        if name.startswith("_") or isinstance(value, (ModuleType, logging.Logger)) or elsewhere != origin:
            continue
        found[name] = value
    return found


def accepts(ours: Any, theirs: Any) -> str:
    """Why a call that fits `theirs` may not fit `ours`, or ""."""
    try:
        wanted, given = inspect.signature(theirs).parameters, inspect.signature(ours).parameters
    except (TypeError, ValueError):
        return ""
    kinds = {parameter.kind for parameter in given.values()}
    anything = inspect.Parameter.VAR_KEYWORD in kinds
    named = [name for name, each in given.items() if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    positions = [name for name, each in wanted.items() if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if inspect.Parameter.VAR_POSITIONAL not in kinds and named[: len(positions)] != positions:
        return f"positional {positions} against {named}"
    for name, parameter in wanted.items():
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        if name not in given and not anything:
            return f"no {name}"
        if name in given and parameter.default is not parameter.empty and given[name].default is parameter.empty:
            return f"{name} has no default"
    extra = [
        name
        for name, each in given.items()
        if name not in wanted and each.default is each.empty and each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    return f"{extra} are asked for" if extra else ""


def missing(ours: Any, theirs: Any, origin: str, where: str) -> list[str]:
    found = []
    for name, value in public(theirs, origin).items():
        if name in NAMES and (getattr(theirs, "__name__", ""), name) not in PRESENT:
            continue
        if not hasattr(ours, name):
            found.append(f"{where}.{name} is missing")
        elif inspect.isclass(value):
            found += missing(getattr(ours, name), value, origin, f"{where}.{name}")
            reason = "" if name == "Entity" else accepts(getattr(ours, name), value)
            found += [f"{where}.{name}: {reason}"] if reason else []
        elif callable(value):
            reason = accepts(getattr(ours, name), value)
            found += [f"{where}.{name}: {reason}"] if reason else []
    return found


def main() -> None:
    from django.conf import settings

    settings.configure()
    warnings.simplefilter("ignore")
    every = modules()
    found = {name: ["is here after all, or not in the original"] for name in MODULES if name not in every}
    for name in every:
        if name not in MODULES:
            ours = importlib.import_module(f"{OURS}.{name}")
            theirs = importlib.import_module(f"aws_xray_sdk.{name}")
            found[name] = missing(ours, theirs, f"aws_xray_sdk.{name}", name)
    print(json.dumps(found))  # noqa: T201  a program's answer


if __name__ == "__main__":
    main()
