"""`fluoro run CMD…`: the environment under which every Python process of a command is traced."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from fluoro.errors import FluoroError

_PACKAGE = Path(__file__).resolve().parent
BOOTSTRAP = _PACKAGE / "bootstrap"


class CommandNotFound(FluoroError):
    """The command after `fluoro run` is not on PATH."""


def environment(environ: Mapping[str, str], *, service: str = "", endpoint: str = "") -> dict[str, str]:
    """`environ` with our start-up folder first on PYTHONPATH.

    Where fluoro itself is on PYTHONPATH and not installed, its place is added too: the command may change PYTHONPATH's
    relative entries by changing directory. An installation's site-packages are not: they belong to one interpreter.
    """
    env = dict(environ)
    entries = [str(BOOTSTRAP)]
    root = _PACKAGE.parent
    if root.name not in ("site-packages", "dist-packages"):
        entries.append(str(root))
    entries += [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry and entry not in entries]
    env["PYTHONPATH"] = os.pathsep.join(entries)
    # `fluoro run opentelemetry-instrument …`: that program puts its own start-up before ours, and loads these.
    env.setdefault("OTEL_PYTHON_DISTRO", "fluoro")
    env.setdefault("OTEL_PYTHON_CONFIGURATOR", "fluoro")
    if service:
        env["FLUORO_SERVICE_NAME"] = service
    if endpoint:
        env["FLUORO_ENDPOINT"] = endpoint
    return env


def execute(command: list[str], env: dict[str, str]) -> None:
    """Become `command`; does not return. `python` means the interpreter of this `fluoro` when PATH has none."""
    name = command[0]
    path = shutil.which(name, path=env.get("PATH"))
    if path is None and name in ("python", "python3"):
        path = sys.executable
    if path is None:
        if name.endswith(".py"):
            raise CommandNotFound(f"`{name}` is no command; write: fluoro run python {' '.join(command)}")
        raise CommandNotFound(f"`{name}` is not a command on PATH; write what you would type without `fluoro run`")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(path, command, env)  # noqa: S606  running the user's command is the whole purpose
