"""What a web page may not do through the browser of somebody who opens it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fluoro_collector.receivers.room import Room
from fluoro_collector.receivers.web import build_app

LOCAL = "127.0.0.1:4318"


async def secret(_: Request) -> Response:
    return PlainTextResponse("traces")


def ask(hosts: list[str] | None = None, method: str = "POST", *, any_host: bool = False, **headers: str) -> int:
    """The status; a refused answer holds nothing of the page behind it."""
    app = build_app(
        [Route("/", secret, methods=["GET", "POST"])],
        limit=1000,
        room=Room(1000),
        hosts=None if any_host else hosts or [],
    )

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, "/", headers=named)

    reply = asyncio.run(main())
    assert (reply.text == "traces") == (reply.status_code == 200)
    return reply.status_code


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4318", "127.0.0.1", "localhost:4318", "LOCALHOST", "[::1]:4318", "collector:4318", "a.localhost",
     "host.docker.internal:4318", "10.1.2.3:4318", "localhost.:4318"],
)  # fmt: skip
def test_names_that_no_stranger_can_have(host: str) -> None:
    assert ask(host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4318", "127.0.0.1.evil.example", "localhost.evil.example:4318", "evil.example.",
     "127.0.0.1@evil.example", "[evil.example]:4318", "a.b:1:2", "internal.evil.example"],
)  # fmt: skip
def test_a_name_that_was_rebound_to_this_machine(host: str) -> None:
    assert ask(host=host, method="GET") == 403
    assert ask(host=host, any_host=True) == 200


def test_a_proxy_s_name_can_be_allowed() -> None:
    assert ask(["traces.example"], host="traces.example") == 200
    assert ask(["traces.example"], host="TRACES.example:443", origin="https://traces.example:443") == 200
    assert ask(["traces.example"], host="other.example") == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8501", 200),
        ("http://127.0.0.1:4318", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://evil.example://127.0.0.1:4318", 403),
    ],
)
@pytest.mark.parametrize("any_host", [True, False])
def test_a_page_of_another_origin(origin: str, status: int, any_host: bool) -> None:
    assert ask(host=LOCAL, origin=origin, any_host=any_host) == status


def test_an_image_or_script_of_another_site() -> None:
    assert ask(method="GET", host=LOCAL, sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert ask(method="GET", host=LOCAL, sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert ask(method="GET", host=LOCAL, sec_fetch_site="none", sec_fetch_mode="navigate") == 200
