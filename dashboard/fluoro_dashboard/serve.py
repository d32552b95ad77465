"""The dashboard's server: Streamlit's ASGI app, our assets beside it, one process, no subprocess, no settings file."""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from fluoro_dashboard import assets, theme
from fluoro_dashboard.settings import API_VARIABLE

_HERE = Path(__file__).resolve().parent
_TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain", ".svg": "image/svg+xml"}


class CannotServeError(Exception):
    """The flags cannot work. The message says what to write instead."""


def serve(*, api: str, host: str, port: int, insecure: bool) -> None:
    """Block until interrupted. Raises CannotServeError before anything is started."""
    check(api=api, host=host, port=port, insecure=insecure)
    os.environ[API_VARIABLE] = api
    # App.run() looks beside argv[0] for a .streamlit directory; the user's working directory must not configure us.
    sys.argv = [str(_HERE / "serve.py")]
    print(f"fluoro dashboard: http://{_bracketed(host)}:{port}  (collector: {api})", flush=True)  # noqa: T201 - the command's own message
    application().run(config=settings(host, port))


def application() -> st.App:
    """One per process: Streamlit keeps the script's place in a global."""
    return st.App(
        _HERE / "pages" / "script.py",
        lifespan=_warm,
        routes=routes(),
    )


def routes() -> list[Route]:
    """Ours, beside Streamlit's."""
    return [
        Route("/healthz", _healthz),
        # The default page lives at "/" only; Streamlit shows a modal for its own name.
        Route("/map", _to_map),
        Route(assets.ROUTE + "/{digest}/{path:path}", _asset),
    ]


def settings(host: str, port: int) -> dict[str, object]:
    """Streamlit's options. They win over its environment variables and files."""
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": host,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "type",
        "client.showSidebarNavigation": False,
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,
        **theme.options(),
    }


def check(*, api: str, host: str, port: int, insecure: bool) -> None:
    url = urlsplit(api)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise CannotServeError(f"--api {api!r} is not an HTTP URL; write for example --api http://127.0.0.1:4318")
    if not 0 < port < 65536:
        raise CannotServeError(f"--port {port} is not a port; write a number from 1 to 65535")
    if not insecure and not _is_loopback(host):
        raise CannotServeError(
            f"--host {host} can be reached from other machines and the dashboard asks nobody for a password. "
            "Put a proxy that does in front of --host 127.0.0.1, or add --insecure to serve it anyway."
        )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CannotServeError(
            f"--host {host} is not an address of this machine ({error.strerror or error})"
        ) from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise CannotServeError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port {port + 1}"
            ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@asynccontextmanager
async def _warm(_app: st.App) -> AsyncIterator[None]:
    """Import what the first table needs while the first browser is still loading the page."""
    warming = asyncio.ensure_future(asyncio.to_thread(importlib.import_module, "pandas"))
    yield
    await warming


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _to_map(request: Request) -> Response:
    query = request.url.query
    return RedirectResponse("/" + (f"?{query}" if query else ""))


async def _asset(request: Request) -> Response:
    """A file of `frontend/`. Its URL holds the hash of all of them, so it may be kept for ever; another hash is gone."""
    path = (assets.DIRECTORY / request.path_params["path"]).resolve()
    if (
        request.path_params["digest"] != assets.digest()
        or not path.is_relative_to(assets.DIRECTORY)
        or not path.is_file()
        or path.suffix not in _TYPES
    ):
        return Response(status_code=404)
    return FileResponse(
        path,
        media_type=_TYPES[path.suffix],
        headers={"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"},
    )
