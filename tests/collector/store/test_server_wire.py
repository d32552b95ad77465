"""The wire of the server engine, against a real and old ClickHouse."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouse_debian import PASSWORD, running_server
from fluoro_collector.store.check import FAILED, check
from fluoro_collector.store.engine import StoreBusy, StoreError
from fluoro_collector.store.server import Server
from fluoro_collector.store.url import Target, parse_url

ROWS = {
    "id": ("UInt64", [1, (1 << 64) - 1]),
    "text": ("String", ["é\0\n", "'"]),
    "fixed": ("FixedString(4)", [b"ab\0\0", b"\xff\0\0\1"]),
    "words": ("Array(String)", [[], ["x", "y"]]),
    "number": ("Float64", [0.1, 2.0]),
    "moment": ("DateTime", [0, 1_000_000_000]),
    "maybe": ("Nullable(String)", [None, "z"]),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_server(tmp_path_factory.mktemp("clickhouse")) as (port, _):
        yield port


@pytest.fixture(params=["", "?compression=lz4"])
def engine(port: int, request: pytest.FixtureRequest) -> Iterator[Server]:
    engine = Server(f"clickhouse://default:{PASSWORD}@127.0.0.1:{port}/wire{request.param}")
    engine.command("DROP TABLE IF EXISTS t")
    types = ", ".join(f"{name} {kind}" for name, (kind, _) in ROWS.items())
    engine.command(f"CREATE TABLE t ({types}) ENGINE = MergeTree ORDER BY id")
    yield engine
    engine.close()


@pytest.mark.server
def test_a_block_comes_back(engine: Server) -> None:
    engine.insert("t", {name: (kind, list(values)) for name, (kind, values) in ROWS.items()})
    assert engine.query("SELECT * FROM t ORDER BY id") == {name: values for name, (_, values) in ROWS.items()}
    assert engine.query("SELECT id, text FROM t WHERE 0") == {"id": [], "text": []}


@pytest.mark.server
def test_a_large_answer_comes_whole(engine: Server) -> None:
    assert engine.query("SELECT number FROM system.numbers LIMIT 300000")["number"] == list(range(300_000))


@pytest.mark.server
def test_errors_are_told_apart(engine: Server) -> None:
    for sql in ("SELEC 1", "SELECT * FROM nowhere"):
        with pytest.raises(StoreError, match="Code: ") as refused:
            engine.query(sql)
        assert not isinstance(refused.value, StoreBusy)
        assert "Stack trace" not in str(refused.value)
    assert engine.query("SELECT 1 AS one") == {"one": [1]}


@pytest.mark.server
def test_a_read_only_server_is_worth_a_retry(engine: Server, port: int) -> None:
    reader = Server(f"clickhouse://reader@127.0.0.1:{port}/wire")
    with pytest.raises(StoreBusy, match="readonly"):
        reader.insert("t", {"id": ("UInt64", [1])})
    reader.close()


@pytest.mark.server
def test_a_check_says_that_it_is_too_old(port: int) -> None:
    engine = Server(f"clickhouse://default:{PASSWORD}@127.0.0.1:{port}/wire")
    (found,) = check(engine)
    engine.close()
    assert (found.state, found.what) == (FAILED, "version")
    assert "18.16" in found.says
    assert "upgrade it" in found.advice


@pytest.mark.server
def test_a_wrong_password_is_told_and_not_shown(port: int) -> None:
    with pytest.raises(StoreError) as refused:
        Server(f"clickhouse://default:a-wrong-word@127.0.0.1:{port}/wire")
    assert not isinstance(refused.value, StoreBusy)
    assert "a-wrong-word" not in str(refused.value)


@pytest.mark.server
def test_a_server_that_went_away_and_came_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "clickhouse_driver")
    with running_server(tmp_path) as (port, _):
        engine = Server(f"clickhouse://default:{PASSWORD}@127.0.0.1:{port}/wire")
        assert engine.query("SELECT 1 AS one") == {"one": [1]}
    with pytest.raises(StoreBusy, match=rf"127\.0\.0\.1:{port} cannot be reached") as refused:
        engine.query("SELECT 1")
    assert PASSWORD not in str(refused.value)
    assert PASSWORD not in repr(engine)
    engine.close()


def test_nobody_listens_is_worth_a_retry() -> None:
    with pytest.raises(StoreBusy, match="cannot be reached") as refused:
        Server("clickhouse://default:a-secret@127.0.0.1:1/x")
    assert "a-secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://u:a-secret@host:port/db",
        "clickhouse://u:a-secret@[host/db",
        "clickhouse://u:a-secret@/db",
        "clickhouse://u:a-secret@host/d-b`",
        "clickhouse://u:a-secret@host/db?colour=red",
        "clickhouse://u:a-secret@host/db?connect_timeout=soon",
        "clickhouse://u:a-secret@host/db?secure",
        "clickhouse://u:a-secret@h1,h2:x/db",
        "clickhouse://u:a-secret@host/db?cluster=a'b",
        "clickhouse://u:a-secret@host/db?alt_hosts=h2:99999",
    ],
)
def test_a_wrong_url_is_told_without_the_password(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        parse_url(url)
    assert "a-secret" not in str(refused.value)


def test_a_url_has_everything() -> None:
    target = parse_url("clickhouses://me:p%40ss@db.example.com/traces?verify=0&compression=1&send_receive_timeout=5")
    assert target == Target(
        hosts=(("db.example.com", 9440),),
        user="me",
        password="p@ss",
        database="traces",
        cluster="",
        options={
            "secure": True,
            "verify": False,
            "compression": True,
            "connect_timeout": 5.0,
            "send_receive_timeout": 5.0,
        },
    )
    assert "p@ss" not in repr(target)
    assert str(target) == "db.example.com:9440/traces"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("clickhouse://h1,h2:9001/db", (("h1", 9000), ("h2", 9001))),
        ("clickhouse://u:p@h1:1,[::1]:2,[::2]/db", (("h1", 1), ("::1", 2), ("::2", 9000))),
        ("clickhouse://h1/db?alt_hosts=h2:5,h1:9000", (("h1", 9000), ("h2", 5))),
        ("clickhouses://h1,h2/db", (("h1", 9440), ("h2", 9440))),
    ],
)
def test_a_url_may_name_several_hosts(url: str, hosts: tuple[tuple[str, int], ...]) -> None:
    assert parse_url(url).hosts == hosts


def test_a_url_may_name_a_cluster() -> None:
    assert parse_url("clickhouse://h1/db?cluster=prod-1").cluster == "prod-1"
    assert "(cluster prod-1)" in str(parse_url("clickhouse://h1/db?cluster=prod-1"))
