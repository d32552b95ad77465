"""Databases: one call is one span, whatever it goes through, and no value is in it."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

import fluoro
from servers.postgres import DATABASE, PASSWORD, USER

pytestmark = [pytest.mark.packages, pytest.mark.filterwarnings("default")]  # the packages' own


def test_pymemcache(otel, library, memcached_port):
    library("pymemcache.client.base", "pymemcache")
    from pymemcache.client.base import Client

    client = Client(("127.0.0.1", memcached_port))
    with fluoro.span("price"):
        client.set("card-4111111111111111", b"gold")
        assert client.get("card-4111111111111111") == b"gold"
    client.close()
    *calls, price = otel.take(3)
    assert [(call.name, call.namespace, call.parent_id) for call in calls] == [
        ("memcached@127.0.0.1", "remote", price.id)
    ] * 2
    assert [call.annotations["db.statement"] for call in calls] == ["set", "get"]
    assert "4111" not in str(calls)


def test_aiopg_over_psycopg2_is_one_span(otel, library, postgres_server):
    aiopg = library("aiopg", "aiopg")

    async def main() -> None:
        dsn = (
            f"dbname={DATABASE} user={USER} password={PASSWORD} host={postgres_server.host} port={postgres_server.port}"
        )
        connection = await aiopg.connect(dsn)
        cursor = await connection.cursor()
        with fluoro.span("price"):
            await cursor.execute("SELECT 'secret-word', 42")
            assert await cursor.fetchone() == ("secret-word", 42)
        cursor.close()
        await connection.close()

    asyncio.run(main())
    segments = otel.take()
    price = next(segment for segment in segments if segment.operation == "price")
    [call] = [segment for segment in segments if segment.parent_id == price.id]
    assert call.metadata["otel"]["scope.name"] == "opentelemetry.instrumentation.aiopg"
    assert call.sql.query == "SELECT ?, …"
    assert call.sql.database_type == "postgresql"
    assert PASSWORD not in str(segments)
    assert "secret-word" not in str(segments)


def test_tortoise_over_sqlite_is_one_span(otel, library):
    library("tortoise", "tortoiseorm")
    from tortoise import Tortoise, connections

    async def main() -> None:
        await Tortoise.init(
            db_url="sqlite://:memory:", modules={"shop": ["tortoise.models"]}, _enable_global_fallback=True
        )
        connection = connections.get("default")
        otel.take()
        with fluoro.span("price"):
            await connection.execute_query("SELECT 'secret-word'")
        await connections.close_all()

    asyncio.run(main())
    segments = otel.take()
    price = next(segment for segment in segments if segment.operation == "price")
    [call] = [segment for segment in segments if segment.parent_id == price.id]
    assert call.namespace == "remote"
    assert call.metadata["otel"]["scope.name"] == "opentelemetry.instrumentation.tortoiseorm"
    assert call.sql.query == "SELECT ?"
    assert "secret-word" not in str(segments)


class Elastic(BaseHTTPRequestHandler):
    """What the client asks for before it believes that it talks to Elasticsearch, and one answer."""

    headers_seen: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        Elastic.headers_seen = dict(self.headers)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps({"took": 1, "timed_out": False, "hits": {"hits": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.elasticsearch+json; compatible-with=9")
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def elastic():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elastic)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_elasticsearch_itself_calls_the_api_and_its_http_is_not_a_second_span(otel, library, elastic):
    from elasticsearch import Elasticsearch

    client = Elasticsearch(f"http://127.0.0.1:{elastic}")
    with fluoro.span("find"):
        client.search(index="orders", query={"match": {"name": "secret-word"}})
    client.close()
    call, find = otel.take(2)
    assert (call.name, call.namespace, call.operation) == ("elasticsearch@127.0.0.1", "remote", "search")
    assert call.parent_id == find.id
    assert "secret-word" not in str(call)
    sent = {name.lower(): value for name, value in Elastic.headers_seen.items()}
    assert f"Parent={call.id:016x};Sampled=1" in sent["x-amzn-trace-id"]
