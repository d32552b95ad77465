"""Real WSGI servers in this process: `SERVERS[name](application)` serves on a free loopback port, which is the value."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref import simple_server

from contracts.serve_wsgi import serve_wsgi


class _Handler(simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


class _Threading(ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


@contextmanager
def serve_wsgiref(app: Any) -> Iterator[int]:
    server = simple_server.make_server("127.0.0.1", 0, app, server_class=_Threading, handler_class=_Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_waitress(app: Any) -> Iterator[int]:
    from waitress.server import create_server
    from waitress.wasyncore import loop

    sockets: dict[int, Any] = {}
    server = create_server(app, map=sockets, host="127.0.0.1", port=0, threads=4)
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            loop(timeout=0.01, use_poll=True, map=sockets, count=1)  # select() ends at 1,024 open files

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        stopped.set()
        thread.join()
        server.task_dispatcher.shutdown()
        for channel in list(sockets.values()):
            channel.close()


@contextmanager
def serve_cheroot(app: Any) -> Iterator[int]:
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), app, numthreads=4, timeout=5)
    server.error_log = lambda *_, **__: None
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.bind_addr[1]
    finally:
        server.stop()
        thread.join()


@contextmanager
def serve_gevent(app: Any) -> Iterator[int]:
    import gevent
    from gevent.pywsgi import WSGIServer

    started, stopped = threading.Event(), threading.Event()
    port = 0

    def run() -> None:
        nonlocal port
        gevent.get_hub().print_exception = lambda *_: None  # what an application raises goes to stderr
        server = WSGIServer(("127.0.0.1", 0), app, log=None, error_log=None)
        server.start()
        port = server.server_port
        started.set()
        while not stopped.is_set():
            gevent.sleep(0.005)
        server.stop(timeout=1)
        gevent.get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    try:
        yield port
    finally:
        stopped.set()
        thread.join()


SERVERS: dict[str, Callable[[Any], AbstractContextManager[int]]] = {
    "wsgiref": serve_wsgiref,
    "werkzeug": serve_wsgi,
    "waitress": serve_waitress,
    "cheroot": serve_cheroot,
    "gevent": serve_gevent,
}
