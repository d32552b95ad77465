"""One secret, planted wherever a library is given one: no segment holds it.

An exception's own message is recorded as it is: that is what it is for, and what an application must not put there.
"""

from __future__ import annotations

import asyncio
import http.client
import sqlite3
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import botocore.config
import botocore.session
import flask
import httpx
import pytest
import redis
import requests
import urllib3
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from contracts.instrumented import instrumented
from fluoro.encoder import encode_batch
from fluoro.model import Resource
from fluoro.testing import Spans

SECRET = "hunter2hunter2"
HEADERS = {"Authorization": f"Bearer {SECRET}", "Cookie": f"session={SECRET}", "X-Api-Key": SECRET}
CLOSED = "127.0.0.1:9"
URL = f"http://user:{SECRET}@{CLOSED}/items?token={SECRET}&q=1#{SECRET}"
BODY = f"password={SECRET}".encode()


def with_requests() -> None:
    requests.post(URL, data=BODY, headers=HEADERS, auth=("user", SECRET), timeout=5)


def with_httpx() -> None:
    httpx.post(URL, content=BODY, headers=HEADERS, timeout=5)


def with_urllib3() -> None:
    urllib3.PoolManager().request("POST", URL, body=BODY, headers=HEADERS, retries=False)


def with_urllib() -> None:
    url = f"http://{CLOSED}/items?token={SECRET}"
    urllib.request.urlopen(urllib.request.Request(url, BODY, HEADERS), timeout=5)


def with_http_client() -> None:
    http.client.HTTPConnection(CLOSED, timeout=5).request("POST", f"/items?token={SECRET}", BODY, HEADERS)


def with_sqlite3() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE users (name, password)")
        connection.execute("INSERT INTO users VALUES (?, ?)", ("ann", SECRET))
        for text in (
            f"SELECT * FROM users WHERE password = '{SECRET}'",
            f"SELECT * FROM users WHERE password = 'it''s {SECRET}' -- {SECRET}",
            f"SELECT /* {SECRET} */ * FROM users WHERE name = x'{SECRET.encode().hex()}'",
            f"SELECT * FROM users WHERE password = '{SECRET}",  # never closed
        ):
            with suppress(sqlite3.Error):
                connection.execute(text)


def with_redis() -> None:
    client = redis.Redis.from_url(f"redis://user:{SECRET}@{CLOSED}/0")
    with suppress(redis.RedisError):
        client.set(f"key {SECRET}", SECRET)
    with suppress(redis.RedisError):
        client.pipeline().set("key", SECRET).execute_command("AUTH", "user", SECRET).execute()
    client.execute_command(f"NONE{SECRET}", SECRET)


def with_botocore() -> None:
    session = botocore.session.Session()
    session.set_credentials(f"AKIA{SECRET}", SECRET, SECRET)
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    options: dict[str, Any] = {"region_name": "eu-west-1", "endpoint_url": f"http://{CLOSED}", "config": config}
    for service, call, parameters in (
        ("secretsmanager", "put_secret_value", {"SecretId": "db", "SecretString": SECRET}),
        ("dynamodb", "put_item", {"TableName": "users", "Item": {"password": {"S": SECRET}}}),
        ("sqs", "send_message", {"QueueUrl": f"http://{CLOSED}/1/jobs", "MessageBody": SECRET}),
        ("s3", "put_object", {"Bucket": "files", "Key": "a", "Body": BODY}),
        ("lambda", "invoke", {"FunctionName": "work", "Payload": BODY}),
    ):
        with suppress(Exception):
            getattr(session.create_client(service, **options), call)(**parameters)


def with_flask() -> None:
    application = flask.Flask("shop")
    application.add_url_rule("/orders/<id>", view_func=lambda **_: "done", methods=["POST"])
    client = application.test_client()
    client.post(f"/orders/7?token={SECRET}", data=BODY, headers=HEADERS).close()


def with_starlette() -> None:
    async def order(_: object) -> PlainTextResponse:
        return PlainTextResponse("done")

    async def ask() -> None:
        application = Starlette(routes=[Route("/orders/{id}", order, methods=["POST"])])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application)) as client:
            await client.post(f"http://shop/orders/7?token={SECRET}", content=BODY, headers=HEADERS)

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("library", "use"),
    [
        ("requests", with_requests),
        ("httpx", with_httpx),
        ("urllib3", with_urllib3),
        ("urllib", with_urllib),
        ("http.client", with_http_client),
        ("sqlite3", with_sqlite3),
        ("redis", with_redis),
        ("botocore", with_botocore),
        ("flask", with_flask),
        ("starlette", with_starlette),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_secret_is_recorded(
    library: str, use: Callable[[], None], spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with instrumented(library), suppress(OSError, httpx.HTTPError, redis.RedisError, urllib3.exceptions.HTTPError):
        use()
    segments = spans.take()
    assert segments
    for segment in segments:
        # The messages of the libraries' own exceptions are theirs; the type and the frames stay.
        for record in segment.cause.exceptions if segment.cause is not None else ():
            record.message = ""
    body, _ = encode_batch(Resource("shop"), segments)
    assert SECRET.encode() not in body
    assert SECRET.encode().hex().encode() not in body
