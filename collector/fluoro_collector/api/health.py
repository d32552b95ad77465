"""What operators look at: `/` (start page), `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
import html
import logging

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from fluoro_collector import __version__
from fluoro_collector.state import State

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 3.0
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>fluoro collector</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}}
td{{padding:.1rem 1rem .1rem 0}}</style>
<h1>fluoro collector {version}</h1>
<p>This is the collector's port: it takes traces and answers queries. The service map is in the dashboard:
start it with <code>fluoro dashboard</code> and open <a href="http://127.0.0.1:8501">http://127.0.0.1:8501</a>.</p>
<table>{doors}</table>
<p><a href="/readyz">readyz</a> · <a href="/metrics">metrics</a> · <a href="/api/status">status</a> ·
<a href="/api/openapi.json">query API</a></p>
"""


def routes(state: State) -> list[BaseRoute]:
    async def index(_: Request) -> Response:
        rows = (f"<tr><td>{html.escape(name)}<td><code>{html.escape(at)}</code>" for name, at in state.doors.items())
        return HTMLResponse(_PAGE.format(version=html.escape(__version__), doors="".join(rows)))

    async def healthz(_: Request) -> Response:
        """The process answers. Says nothing about the store: a restart does not repair that."""
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        """200 when a segment sent now would be stored: doors open, committer running, engine answering."""
        checks = {
            "doors": "ok" if state.doors and not state.stopping() else "closed",
            "ingest": "ok" if state.ingest.alive else "the committer has stopped",
            "store": await _ask_engine(state),
        }
        ready = all(result == "ok" for result in checks.values())
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(state.counters.exposition(), media_type=EXPOSITION)

    return [
        Route("/", index),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
    ]


async def _ask_engine(state: State) -> str:
    try:
        await asyncio.wait_for(asyncio.to_thread(state.store.engine.query, "SELECT 1 AS one"), READY_TIMEOUT_S)
    except asyncio.TimeoutError:
        return f"no answer within {READY_TIMEOUT_S:g} s"
    except Exception as error:  # noqa: BLE001 - whatever it is, the store does not answer
        log.warning("readiness: the engine does not answer: %s", error)
        return "the engine does not answer"
    return "ok"
