"""The matrices behind `make test-all`: the oldest supported version of each library, and every supported Python.

    nox -l                        what there is
    nox -s "oldest(flask)"        one library's floor
    nox -s "python-3.13"          the SDK's tests on one Python

The newest versions are what `make test` runs on.
"""

from __future__ import annotations

from typing import NamedTuple

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

# What the tests themselves need, beside the library under test.
TOOLS = ("hypothesis", "pytest>=8.4", "pytest-timeout", "pytest-xdist")


class Floor(NamedTuple):
    """The oldest versions of one library: its pins (with the dependencies that fit them) and the tests that must pass."""

    pins: tuple[str, ...]
    tests: tuple[str, ...]
    python: str = "3.10"


INSTRUMENT = "tests/sdk/instrument"

OLDEST: dict[str, Floor] = {
    "flask": Floor(("flask==2.2.0", "werkzeug==2.2.0"), (f"{INSTRUMENT}/test_flask.py",)),
    "httpx": Floor(("httpx==0.24.0",), (f"{INSTRUMENT}/test_httpx.py",)),
    "requests": Floor(("requests==2.20.0",), (f"{INSTRUMENT}/test_requests.py",)),
}


@nox.session(venv_backend="uv|virtualenv")
@nox.parametrize("library", [nox.param(name, id=name) for name in OLDEST])
def oldest(session: nox.Session, library: str) -> None:
    floor = OLDEST[library]
    session.install("-e", ".", *TOOLS, *floor.pins)
    session.run("pytest", "-q", "-m", "not bench", *floor.tests, *session.posargs)


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def python(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("pytest", "-q", "-m", "not bench", "-n", "2", "--dist", "loadfile", "tests/sdk", *session.posargs)
