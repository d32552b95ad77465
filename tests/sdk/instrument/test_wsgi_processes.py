"""WSGI servers as they are started in earnest, under `fluoro run`: each request exactly once, its route, its work."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_sink
from batch_sink import BatchSink
from fluoro.run import BOOTSTRAP
from servers.process import accepts, free_port, running

REQUESTS = 5

PLAIN = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"hi"]
"""
DJANGO = """
import sqlite3, sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

def hello(request, name):
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", [name])
        return HttpResponse(cursor.fetchone()[0])

urlpatterns = [path("hello/<str:name>", hello)]
settings.configure(
    ALLOWED_HOSTS=["*"], DEBUG=True, ROOT_URLCONF=__name__, SECRET_KEY="test", INSTALLED_APPS=["django.contrib.staticfiles"],
    STATIC_URL="/static/", DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "--log-level", "error")


@pytest.fixture
def sink() -> Iterator[BatchSink]:
    with batch_sink.running_sink() as running:
        yield running


def ask(tmp_path: Path, sink: BatchSink, *command: str) -> None:
    """Start `command` under `fluoro run`, send the requests, stop it."""
    (tmp_path / "plain.py").write_text(PLAIN)
    (tmp_path / "shop.py").write_text(DJANGO)
    port = free_port()
    started = [part.format(port=port) for part in command]
    traced = [sys.executable, "-m", "fluoro", "run", "--service", "web", "--endpoint", sink.url, "--", *started]
    scripts = str(Path(sys.executable).parent)
    environment = {"PYTHONPATH": str(BOOTSTRAP.parents[1]), "PATH": f"{scripts}:/usr/bin:/bin"}
    with running(traced, lambda: accepts(port), log=tmp_path / "log", env=environment, cwd=tmp_path):
        for number in range(REQUESTS):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/{number}", timeout=30) as response:
                assert response.status == 200
        sink.wait_for(lambda: len([one for one in sink.segments if not one.subsegment]) >= REQUESTS)
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    "worker",
    [
        "sync",
        pytest.param("gthread", marks=pytest.mark.matrix),
        pytest.param("gevent", marks=pytest.mark.matrix),
        pytest.param("gevent_pywsgi", marks=pytest.mark.matrix),
    ],
)
@pytest.mark.parametrize("application", [pytest.param("plain", marks=pytest.mark.matrix), "shop"])
def test_gunicorn(sink: BatchSink, tmp_path: Path, worker: str, application: str) -> None:
    ask(tmp_path, sink, *GUNICORN, "--worker-class", worker, f"{application}:application")
    requests = [segment for segment in sink.segments if not segment.subsegment]
    route = "unmatched" if application == "plain" else "/hello/{name}"
    assert [request.operation for request in requests] == [f"GET {route}"] * REQUESTS


@pytest.mark.parametrize(
    "options", [(), pytest.param(("--noreload",), marks=pytest.mark.matrix)], ids=["reload", "one"]
)
def test_djangos_development_server(sink: BatchSink, tmp_path: Path, options: tuple[str, ...]) -> None:
    ask(tmp_path, sink, "python", "shop.py", "runserver", "127.0.0.1:{port}", *options)
    requests = {segment.id: segment for segment in sink.segments if not segment.subsegment}
    assert [request.operation for request in requests.values()] == ["GET /hello/{name}"] * REQUESTS
    # Django looks for migrations before it serves; those queries belong to no request.
    statements = ("SELECT ?", "SELECT %s")  # Django writes %s, and hands ? to the driver
    queries = [one for one in sink.segments if one.sql is not None and one.sql.query in statements and one.parent_id]
    assert {query.parent_id for query in queries} == set(requests)
    assert len(queries) == REQUESTS


def test_django_is_patched_without_settings(tmp_path: Path) -> None:
    code = (
        "import django.core.handlers.wsgi, django.core.handlers.asgi, django.contrib.staticfiles.handlers\n"
        "import django.db.backends.sqlite3.base\n"
        "from fluoro.instrument import register\n"
        "print(sorted({state for name, state in register.items() if name.startswith('django')}))\n"
        "from django.conf import settings\n"
        "print(settings.configured)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "fluoro", "run", "--", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(BOOTSTRAP.parents[1])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("['patched']\nFalse\n", "")
