"""Packages for libraries that we trace ourselves: installed side by side, each call is one span, ours."""

from __future__ import annotations

import warnings

import pytest

from fluoro import diagnostics, instrument
from fluoro.model import Kind

pytestmark = [pytest.mark.packages, pytest.mark.filterwarnings("default")]  # the packages' own


@pytest.fixture
def said(monkeypatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(diagnostics, "warn", lambda _kind, message, **_: found.append(message))
    return found


def test_nothing_of_ours_has_a_second_instrumentor(otel, library):
    for name in ("asyncio", "boto3", "botocore", "fastapi", "flask", "requests", "urllib3"):
        assert instrument.register[f"otel:{name}"] != "patched"


def test_requests_over_urllib3(otel, library, said, server):
    import requests
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    RequestsInstrumentor().instrument()
    URLLib3Instrumentor().instrument()
    assert requests.get(server, timeout=10).ok
    call = otel.one()
    assert (call.kind, call.http.status, call.metadata) == (Kind.CLIENT, 200, None)
    assert [line.split()[0] for line in said] == ["RequestsInstrumentor", "URLLib3Instrumentor"]


def test_flask(otel, library, said):
    import flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    FlaskInstrumentor().instrument()
    app = flask.Flask("shop")
    FlaskInstrumentor().instrument_app(app)

    @app.get("/orders/<int:n>")
    def order(n: int) -> str:
        return str(n)

    assert app.test_client().get("/orders/7").status_code == 200
    assert otel.one().operation == "GET /orders/{n}"
    assert {line.split()[0] for line in said} == {"FlaskInstrumentor"}


def test_fastapi(otel, library, said):
    import fastapi
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor().instrument()
    app = fastapi.FastAPI()
    FastAPIInstrumentor.instrument_app(app)

    @app.get("/orders/{n}")
    async def order(n: int) -> int:
        return n

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about the client it is tested with
        from fastapi.testclient import TestClient

        client = TestClient(app)
    assert client.get("/orders/7").json() == 7
    served = [segment for segment in otel.take() if segment.kind is Kind.SERVER]
    assert [segment.operation for segment in served] == ["GET /orders/{n}"]
    assert {line.split()[0] for line in said} == {"FastAPIInstrumentor"}


def test_queues_of_boto3(otel, library, said):
    import boto3
    from opentelemetry.instrumentation.boto3sqs import Boto3SQSInstrumentor
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor

    Boto3SQSInstrumentor().instrument()
    BotocoreInstrumentor().instrument()
    client = boto3.client("sqs", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    assert type(client).__mro__[1].__module__ == "botocore.client"
    assert {line.split()[0] for line in said} == {"Boto3SQSInstrumentor", "BotocoreInstrumentor"}
    assert otel.take() == []
