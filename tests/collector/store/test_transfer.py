"""Export and import: what comes back is what left, once, also after an interruption."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from contracts.segments import RESOURCE, START, full_segment
from fluoro_collector.store import transfer
from fluoro_collector.store.engine import StoreBusy, StoreError
from fluoro_collector.store.store import Store
from fluoro_collector.store.transfer import export, import_, read_manifest

DAY = 86_400 * 10**9
LAST = (1 << 32) - 1


def quiet(_done: int, _total: int) -> None:
    pass


def fill(store: Store, count: int = 9) -> None:
    """Three segments a day, and one of the documents that people make."""
    starts = [START + number * DAY // 3 for number in range(count)]
    rows = [full_segment(id=number, start=start, end=start + 5) for number, start in enumerate(starts, 1)]
    store.insert([(RESOURCE, rows)], "days")
    document: dict[str, tuple[str, list[Any]]] = {
        "kind": ("LowCardinality(String)", ["group"]),
        "name": ("String", ["checkout"]),
        "document": ("String", ['{"a": 1}']),
        "version": ("UInt64", [5]),
    }
    store.engine.insert("configuration", document)


def content(store: Store) -> list[dict[str, list[Any]]]:
    tables = ("segments ORDER BY id", "resources ORDER BY id", "configuration ORDER BY name")
    return [store.engine.query(f"SELECT * FROM {table}") for table in tables]


def forget(store: Store) -> None:
    for table in ("segments", "resources", "configuration", "maintenance"):
        store.engine.command(f"TRUNCATE TABLE {table}")


def test_what_comes_back_is_what_left(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "CHUNK_ROWS", 2)
    fill(store)
    before = content(store)
    seen: list[tuple[int, int]] = []
    done = export(store.engine, tmp_path / "out", 0, LAST, lambda *both: seen.append(both))
    assert done.rows == {"segments": 9, "resources": 1, "configuration": 1}
    assert seen[-1] == (9, 9)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    days = {Path(each["file"]).parent.name for each in manifest["files"] if each["table"] == "segments"}
    assert len(days) >= 3
    assert max(each["rows"] for each in manifest["files"]) == 2
    forget(store)
    first = import_(store.engine, tmp_path / "out", quiet)
    assert (first.rows, first.known) == (9, 0)
    assert content(store) == before
    assert first.minutes == {(START + number * DAY // 3) // 10**9 // 60 * 60 for number in range(9)}
    second = import_(store.engine, tmp_path / "out", quiet)
    assert (second.rows, second.files) == (0, 0)
    assert second.minutes == first.minutes
    assert content(store) == before


def test_a_range_is_exported(embedded_store: Store, tmp_path: Path) -> None:
    fill(embedded_store)
    first = START // 10**9 + 86_400
    done = export(embedded_store.engine, tmp_path / "out", first, first + 86_400, quiet)
    assert done.rows["segments"] == 3


def test_an_import_that_was_cut_off_goes_on(
    embedded_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "CHUNK_ROWS", 1)
    fill(embedded_store)
    export(embedded_store.engine, tmp_path / "out", 0, LAST, quiet)
    before = content(embedded_store)
    forget(embedded_store)
    insert = embedded_store.engine.insert
    left = [7]

    def failing(table: str, columns: Any, token: str = "") -> None:
        insert(table, columns, token)
        left[0] -= 1
        if left[0] == 0:  # stored, and nobody was told
            raise StoreBusy("cut off")

    with monkeypatch.context() as patched:
        patched.setattr(embedded_store.engine, "insert", failing)
        with pytest.raises(StoreBusy):
            import_(embedded_store.engine, tmp_path / "out", quiet)
    import_(embedded_store.engine, tmp_path / "out", quiet)
    assert content(embedded_store) == before


def test_after_a_deletion_it_is_imported_again_when_told(embedded_store: Store, tmp_path: Path) -> None:
    fill(embedded_store)
    export(embedded_store.engine, tmp_path / "out", 0, LAST, quiet)
    embedded_store.engine.command("TRUNCATE TABLE segments")
    import_(embedded_store.engine, tmp_path / "out", quiet)
    embedded_store.engine.command("TRUNCATE TABLE segments")
    assert import_(embedded_store.engine, tmp_path / "out", quiet).rows == 0
    assert import_(embedded_store.engine, tmp_path / "out", quiet, again=True).rows == 9
    assert embedded_store.count() == 9


def test_an_export_that_is_interrupted_leaves_nothing(
    embedded_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "CHUNK_ROWS", 2)
    fill(embedded_store)

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(embedded_store.engine, tmp_path / "exports" / "out", 0, LAST, interrupt)
    assert list((tmp_path / "exports").iterdir()) == []


def test_a_directory_with_something_in_it_is_not_touched(embedded_store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(StoreError, match="not empty"):
        export(embedded_store.engine, tmp_path / "out", 0, LAST, quiet)
    assert (tmp_path / "out" / "mine").read_text() == "x"


def _damaged(what: str, manifest: dict[str, Any]) -> dict[str, Any]:
    file = manifest["files"][0]
    segments = manifest["columns"]["segments"]
    changes: dict[str, dict[str, Any]] = {
        "newer schema": {"schema": 9999},
        "newer format": {"format": 2},
        "no files": {"files": None},
        "outside": {"files": [{**file, "file": "../../etc/passwd"}]},
        "absolute": {"files": [{**file, "file": "/etc/passwd"}]},
        "unknown table": {"files": [{**file, "table": "system.users"}]},
        "unknown column": {"columns": {**manifest["columns"], "segments": {**segments, "x`) SELECT 1 --": "UInt8"}}},
        "another type": {"columns": {**manifest["columns"], "resources": {"id": "String"}}},
        "id": {"id": "a/b'"},
        "long id": {"id": "a" * 1_000_000},
        "rows": {"files": [{**file, "rows": 10_000}]},
        "endless rows": {"files": [{**file, "rows": float("inf")}]},
        "pattern": {"files": [{**file, "file": "{segments/2026-01-01/000000.parquet,../x}"}]},
        "surrogate": {"files": [{**file, "file": "\ud800"}]},
        "missing": {"files": [{**file, "file": "segments/2026-01-01/999999.parquet"}]},
        "twice": {"files": [file, file]},
        "no key": {"columns": {**manifest["columns"], "segments": {"id": segments["id"]}}},
    }
    return {**manifest, **changes[what]}


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("newer schema", "at least as new"),
        ("newer format", "at least as new"),
        ("no files", "cannot be read"),
        ("outside", "outside of the export"),
        ("absolute", "outside of the export"),
        ("unknown table", "no export has"),
        ("unknown column", "this version lacks"),
        ("another type", "this version lacks"),
        ("id", "no export has"),
        ("long id", "no export has"),
        ("rows", "is damaged"),
        ("endless rows", "cannot be read"),
        ("pattern", "as no export does"),
        ("surrogate", "as no export does"),
        ("missing", "is not whole"),
        ("twice", "a file twice"),
        ("no key", "lacks columns that every export has: segments.start, segments.trace_id"),
    ],
)
def test_what_is_no_export_is_refused(embedded_store: Store, tmp_path: Path, what: str, says: str) -> None:
    fill(embedded_store, 1)
    export(embedded_store.engine, tmp_path / "out", 0, LAST, quiet)
    forget(embedded_store)
    path = tmp_path / "out" / "manifest.json"
    path.write_text(json.dumps(_damaged(what, json.loads(path.read_text()))))
    with pytest.raises(StoreError, match=says):
        import_(embedded_store.engine, tmp_path / "out", quiet)
    assert embedded_store.count() == 0


def test_numbers_that_are_written_as_text_are_read(embedded_store: Store, tmp_path: Path) -> None:
    fill(embedded_store, 1)
    export(embedded_store.engine, tmp_path / "out", 0, LAST, quiet)
    forget(embedded_store)
    path = tmp_path / "out" / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 1', '"rows": "1"'))
    assert import_(embedded_store.engine, tmp_path / "out", quiet).rows == 1


@pytest.mark.parametrize("text", ["[" * 100_000, "null", '"x"'])
def test_any_json_may_be_a_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match="cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("start", [-1, (1 << 32) * 10**9])
def test_times_that_cannot_be_rolled_up_are_not_stored(embedded_store: Store, tmp_path: Path, start: int) -> None:
    embedded_store.insert([(RESOURCE, [full_segment(id=1, start=START, end=START)])])
    export(embedded_store.engine, tmp_path / "out", 0, LAST, quiet)
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    kinds = manifest["columns"]["segments"]
    [file] = (tmp_path / "out" / "segments").rglob("*.parquet")
    source = transfer._file(file, kinds)
    rows = embedded_store.engine.query(f"SELECT * FROM {source}")
    rows["start"] = [start]
    file.unlink()
    embedded_store.engine.insert(f"FUNCTION {source}", {name: (kind, rows[name]) for name, kind in kinds.items()})
    forget(embedded_store)
    with pytest.raises(StoreError, match="rows start before 1970 or after 2105"):
        import_(embedded_store.engine, tmp_path / "out", quiet)
    assert embedded_store.count() == 0


def test_a_pipe_is_not_waited_for(embedded_store: Store, tmp_path: Path) -> None:
    fill(embedded_store, 1)
    export(embedded_store.engine, tmp_path / "out", 0, LAST, quiet)
    [file] = (tmp_path / "out" / "segments").rglob("*.parquet")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(StoreError, match="is not whole"):
        read_manifest(tmp_path / "out")
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(StoreError, match="is no file"):
        read_manifest(tmp_path)


def test_a_directory_without_a_manifest_is_no_export(embedded_store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no export"):
        import_(embedded_store.engine, tmp_path, quiet)
