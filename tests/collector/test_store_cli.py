"""`fluoro store …` as a person runs it."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from collector_process import environment, start_collector
from contracts.segments import RESOURCE, full_segment
from fluoro import cli
from fluoro_collector import store_cli
from fluoro_collector.store.store import Store, open_engine

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process; its exit code."""
    monkeypatch.delenv("FLUORO_STORE", raising=False)
    monkeypatch.delenv("FLUORO_DATA", raising=False)

    def run(*arguments: str) -> int:
        parser = argparse.ArgumentParser(prog="fluoro store")
        store_cli.add_arguments(parser)
        return store_cli.main(parser.parse_args(arguments))

    return run


def fill(data: Path, *ids: int) -> None:
    store = Store(open_engine(str(data)))
    store.migrate()
    store.insert([(RESOURCE, [full_segment(id=id_, trace_id=id_.to_bytes(16, "big")) for id_ in ids])])
    store.close()


def stored(data: Path) -> int:
    store = Store(open_engine(str(data)))
    try:
        return store.count()
    finally:
        store.close()


def test_a_new_store_is_made_and_found_fit(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "data")
    assert run("migrate", "--dry-run", "--data", data) == 0
    assert "CREATE TABLE IF NOT EXISTS segments" in capsys.readouterr().out
    assert not Path(data).exists()
    assert run("check", "--data", data) == 1
    assert "there is no store in" in capsys.readouterr().err
    assert run("migrate", "--data", data) == 0
    assert "applied 0001_segments.sql" in capsys.readouterr().out
    assert run("migrate", "--data", data) == 0
    assert "up to date" in capsys.readouterr().out
    assert run("check", "--data", data) in {0, 1}
    said = capsys.readouterr().out
    for line in ("✓ permissions", "✓ schema", "✓ durability", "✓ clock", "✓ settings"):
        assert line in said


def test_a_check_that_fails_says_what_to_do(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    assert run("check", "--data", str(tmp_path / "data")) == 1
    said = capsys.readouterr().out
    assert "✗ schema" in said
    assert "→ fluoro store migrate" in said
    assert "to repair" in said
    assert run("check", "--store", "clickhouse://user:a-secret@127.0.0.1:1/db") == 1
    said = capsys.readouterr().out
    assert "cannot be reached" in said
    assert "a-secret" not in said


def test_data_leaves_and_comes_back(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, out = (str(tmp_path / name) for name in ("one", "two", "out"))
    fill(Path(one), 1, 2, 3)
    assert run("export", "--data", one, "--out", out) == 0
    assert "3 segments" in capsys.readouterr().out
    assert run("export", "--data", one, "--out", out) == 1
    assert "not empty" in capsys.readouterr().err
    assert run("import", "--data", two, out) == 0
    assert "imported 3 segments" in capsys.readouterr().out
    assert run("import", "--data", two, out) == 0
    assert "imported before" in capsys.readouterr().out
    assert stored(Path(two)) == 3
    engine = open_engine(two)
    assert engine.query("SELECT count() > 0 AS rolled FROM nodes_1m") == {"rolled": [1]}
    engine.close()
    assert run("export", "--data", one, "--out", f"{out}2", "--from", "2001-01-01", "--to", "2001-01-02T03:04Z") == 0
    assert "0 segments" in capsys.readouterr().out


def test_traces_and_values_are_taken_back(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "data")
    fill(tmp_path / "data", 1, 2, 3)
    assert run("delete-trace", "--data", data, "1-00000000-000000000000000000000002", "0" * 31 + "9") == 0
    assert "removed 1 of 2 traces, 1 rows" in capsys.readouterr().out
    assert run("delete-trace", "--data", data, "1-00000000-000000000000000000000002") == 1
    assert run("redact", "--data", data, "--annotation", "order", "--value", "A-1", "--replace", "gone") == 0
    assert "changed 2 rows" in capsys.readouterr().out
    assert stored(tmp_path / "data") == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["delete-trace", "xyz"], "'xyz' is no trace id"),
        (["export", "--out", "x", "--from", "soon"], "'soon' is no time"),
        (["export", "--out", "x", "--from", "1900-01-01"], "out of range"),
        (["redact", "--annotation", "k", "--from", "2026-02-01", "--to", "2026-01-01"], "is not before"),
        (["redact", "--annotation", "\udcff"], "--annotation is not UTF-8"),
        (["redact", "--annotation", "k", "--value", "\udcff"], "--value is not UTF-8"),
    ],
)
def test_a_mistake_ends_with_2(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert run(*arguments, "--data", str(tmp_path / "data")) == 2  # told first, also when there is no store
    assert says in capsys.readouterr().err


def test_an_import_of_nothing_makes_no_store(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", "--data", str(tmp_path / "data"), str(tmp_path / "nowhere")) == 1
    assert "no manifest.json" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_the_store_is_named_as_for_serve(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "data", 1)
    monkeypatch.setenv("FLUORO_DATA", str(tmp_path / "data"))
    assert run("migrate") == 0
    monkeypatch.setenv("FLUORO_STORE", "clickhouse://127.0.0.1:1/db")
    assert run("migrate") == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert run("migrate", "--data", str(tmp_path / "data")) == 0  # what is on the command line is meant


def test_a_store_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with start_collector(tmp_path / "data") as collector:
        process = subprocess.run(
            [sys.executable, "-m", "fluoro_collector", "store", "check", "--data", str(tmp_path / "data")],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert process.returncode == 1
        owner = f"another collector owns {tmp_path / 'data'} (pid {collector.process.pid})"
        assert process.stderr == f"fluoro store: {owner}: stop it, or give --data another directory\n"
        assert process.stdout == ""


def test_a_mistyped_option_is_told_with_the_usage_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["store", "export", "--frm", "2026-01-01", "--out", "x"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "usage: fluoro store export" in said
    assert "--from TIME" in said


def test_the_help_teaches() -> None:
    for arguments in (["store", "--help"], ["store", "redact", "--help"]):
        said = subprocess.run(
            [sys.executable, "-c", "import sys; from fluoro.cli import main; sys.exit(main(sys.argv[1:]))", *arguments],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        assert "fluoro store" in said
