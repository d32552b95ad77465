"""What `check` finds in a store that is fit, and in stores with one thing wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from contracts.segments import RESOURCE, full_segment
from fluoro_collector.rollup import Rollup
from fluoro_collector.store import check as checks
from fluoro_collector.store.check import FAILED, OK, Finding, check, version_of
from fluoro_collector.store.engine import StoreError
from fluoro_collector.store.server import Server
from fluoro_collector.store.store import Store


def by_name(store: Store) -> dict[str, Finding]:
    return {each.what: each for each in check(store.engine)}


def test_a_fit_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "FREE_SHARE", 0)
    store.insert([(RESOURCE, [full_segment()])])
    Rollup(store.engine).run_once()
    found = by_name(store)
    assert {each.state for each in found.values()} == {OK}, found
    assert {"permissions", "disk", "schema", "durability", "parts", "clock", "rollup", "settings"} <= found.keys()
    left = store.engine.query("SELECT count() AS n FROM system.tables WHERE name LIKE 'fluoro_check_%'")
    assert left == {"n": [0]}


def test_each_thing_that_is_wrong_is_named_with_what_to_do(
    embedded_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = embedded_store.engine
    embedded_store.insert([(RESOURCE, [full_segment()])])
    engine.command("ALTER TABLE segments MODIFY SETTING fsync_after_insert = 0")
    engine.command("ALTER TABLE schema_migrations DELETE WHERE number = 2 SETTINGS mutations_sync = 2")
    monkeypatch.setattr(checks, "FREE_SHARE", 1)
    monkeypatch.setattr(checks, "PARTS_TOO_MANY", 1)
    now = time.time
    monkeypatch.setattr(checks.time, "time", lambda: now() + 60)
    found = by_name(embedded_store)
    for name in ("disk", "schema", "durability", "parts", "clock", "rollup"):
        assert found[name].state == FAILED
        assert found[name].advice
    assert "0002_resources.sql" in found["schema"].says
    assert "never ran" in found["rollup"].says


def test_what_may_not_be_done_is_a_failure_and_what_may_not_be_read_is_none(embedded_store: Store) -> None:
    class Restricted:
        """A user that may neither create tables nor read system.disks."""

        cluster = ""
        insert, close = embedded_store.engine.insert, embedded_store.engine.close

        def query(self, sql: str, *rest: Any) -> dict[str, list[Any]]:
            if "system.disks" in sql:
                raise StoreError("Code: 497. DB::Exception: u: Not enough privileges.")
            return embedded_store.engine.query(sql, *rest)

        def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
            if sql.startswith("CREATE"):
                raise StoreError("Code: 497. DB::Exception: u: Not enough privileges.")
            embedded_store.engine.command(sql, params)

    found = {each.what: each for each in check(Restricted())}
    assert (found["permissions"].state, found["permissions"].advice[:5]) == (FAILED, "GRANT")
    assert found["disk"].state == checks.WARNING


def test_a_host_that_is_gone_is_named(node: Any, tmp_path: Path) -> None:
    engine = Server(f"clickhouse://{node.host},127.0.0.1:1/default", create=False)
    found = [each for each in check(engine) if each.what in {"host", "version"}]
    engine.close()
    assert [(each.what, each.state) for each in found] == [("version", OK), ("host", FAILED)]
    assert "127.0.0.1:1" in found[1].says


@pytest.mark.parametrize(
    ("text", "version"), [("26.9.2.1", (26, 9)), ("18.16.1", (18, 16)), ("24.8.4.13-lts", (24, 8)), ("head", (0, 0))]
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    assert version_of(text) == version
