from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest

from fluoro import instrument
from fluoro.testing import Spans
from servers.memcached import memcached
from servers.postgres import Postgres, postgres
from servers.rabbitmq import rabbitmq

Load = Callable[[str, str], ModuleType]


@pytest.fixture
def library(otel: Spans) -> Iterator[Load]:
    """`library(module, instrumentor)`: import a library as an application does that runs under `fluoro run`; its
    OpenTelemetry instrumentor must have been run by that.
    """
    instrument.install((), lambda: True)

    def load(module: str, instrumentor: str) -> ModuleType:
        found = importlib.import_module(module)
        assert instrument.register.get(f"otel:{instrumentor}") == "patched", instrument.register
        return found

    yield load
    instrument.uninstall()


@pytest.fixture(scope="session")
def rabbitmq_url() -> Iterator[str]:
    with rabbitmq() as url:
        yield url


@pytest.fixture(scope="session")
def memcached_port() -> Iterator[int]:
    with memcached() as port:
        yield port


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a server that answers everything with 200 and nothing."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
