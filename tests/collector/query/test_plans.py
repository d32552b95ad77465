"""Questions that people wait for read little: their real statements, looked at with `EXPLAIN indexes = 1` and by rows read.

Granules are small here, so that thirty thousand rows have as many as millions do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fluoro_collector.query.graph.service_graph import service_graph
from fluoro_collector.query.search.search import count, search
from fluoro_collector.query.trace.trace import rows
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.embedded import Embedded
from fluoro_collector.store.parameters import serialize, with_settings
from fluoro_collector.store.store import Store
from query_store import BASE

HOUR, DAY = 3600, 86_400
GRANULE = 128
DAYS, HOURS = 2, 8  # in the first five minutes of so many hours of so many days there are traces
PARTS = 4  # of each day
TRACES = 6_000
SPANS = 5  # of a trace
ROWS = TRACES * SPANS
FIRST, LAST = BASE, BASE + (DAYS - 1) * DAY + HOURS * HOUR
ORDER = "o-3017"

# Every fifth id is random, the others carry their second. One trace in a hundred fails, one in a hundred is of `rare`.
_INSERT = """
INSERT INTO segments (trace_id, id, parent_id, start, duration, kind, service, name, fault, user, annotations_json, received)
WITH
    intDiv(number, SPANS) AS trace,
    number % SPANS AS place,
    BASE + trace % DAYS * 86400 + intDiv(trace, DAYS) % HOURS * 3600 + cityHash64(trace) % 300 AS second,
    if(place > 0 AND trace % 100 = 50, 'rare', concat('service-', toString(place))) AS service
SELECT
    toFixedString(concat(
        if(trace % 5 = 0, reinterpretAsFixedString(toUInt32(cityHash64(trace, 1))), reverse(reinterpretAsFixedString(toUInt32(second)))),
        reinterpretAsFixedString(cityHash64(trace, 2)), reinterpretAsFixedString(toUInt32(cityHash64(trace, 3)))
    ), 16),
    cityHash64(trace, place), if(place = 0, 0, cityHash64(trace, place - 1)),
    fromUnixTimestamp64Nano(toInt64(second) * 1000000000 + place * 1000000, 'UTC'), 20000000 - place * 1000000, 1,
    service, service, trace % 100 = 7 AND place = 0, concat('u-', toString(trace % 5000)),
    concat('{"order":"o-', toString(trace), '","place":', toString(place), '}'), now64(3)
FROM numbers({first:UInt64}, {count:UInt64})
"""
INSERT = re.sub(r"\b(SPANS|BASE|DAYS|HOURS)\b", lambda found: str(globals()[found[0]]), _INSERT)


@dataclass
class Index:
    """One index of a table's read in a plan: how many granules it left, of how many."""

    table: str
    kind: str  # "MinMax", "Partition", "PrimaryKey", "Skip"
    name: str = ""
    keys: list[str] = field(default_factory=list)
    left: int = 0
    of: int = 0


class Watched(Embedded):
    """The embedded engine with small granules, which can note its statements and how many stored rows they read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.watching = False
        self.statements: list[tuple[str, Mapping[str, Any]]] = []
        self.rows_read = 0

    def watch(self) -> None:
        """Note what comes from here on."""
        self.watching = True
        self.statements.clear()
        self.rows_read = 0

    def command(self, sql: str) -> None:
        if sql.lstrip().startswith("CREATE TABLE"):
            sql = re.sub(r"\bSETTINGS\b", f"SETTINGS index_granularity = {GRANULE},", sql, count=1)
        super().command(sql)

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, settings: Mapping[str, float] | None = None
    ) -> dict[str, list[Any]]:
        if self.watching:
            self._note(sql, params or {}, settings or {})
        return super().query(sql, params, settings)

    def _note(self, sql: str, params: Mapping[str, Any], settings: Mapping[str, float]) -> None:
        self.statements.append((sql, params))
        texts = {name: serialize(value) for name, value in params.items()}
        alone = {**settings, "use_query_condition_cache": 0}
        with self._connection() as connection:
            self.rows_read += connection.query(with_settings(sql, alone), "Native", params=texts).storage_rows_read()

    def indexes(self, sql: str, params: Mapping[str, Any]) -> list[Index]:
        """The indexes that the plan of a statement uses."""
        lines = super().query(f"EXPLAIN indexes = 1 {sql}", params)["explain"]
        return list(_indexes([line if isinstance(line, str) else line.decode("utf-8", "replace") for line in lines]))


def _indexes(lines: Sequence[str]) -> Iterator[Index]:
    table = ""
    index: Index | None = None
    in_keys = False
    for line in lines:
        text = line.lstrip(" │└├─")
        if found := re.match(r"ReadFromMergeTree \(\w+\.(\w+)\)", text):
            table = found[1]
        elif text in ("MinMax", "Min-max", "Partition", "PrimaryKey", "Skip"):
            index = Index(table, text)
        elif index is None:
            continue
        elif text.startswith("Name: "):
            index.name = text.removeprefix("Name: ")
        elif text == "Keys:":
            in_keys = True
        elif text.startswith(("Condition:", "Parts:", "Description:")):
            in_keys = False
        elif in_keys:
            index.keys.append(text)
        elif found := re.match(r"Granules: (\d+)/(\d+)", text):
            index.left, index.of = int(found[1]), int(found[2])
            yield index
            index = None


def _subqueries(sql: str) -> Iterator[str]:
    """Each `SELECT` of a statement that stands in parentheses. A plan does not show those whose answer it needed."""
    for found in re.finditer(r"\(\s*(?=SELECT\b)", sql):
        depth = 1
        for at in range(found.end(), len(sql)):
            depth += {"(": 1, ")": -1}.get(sql[at], 0)
            if depth == 0:
                yield sql[found.end() : at]
                break


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    watched = Watched(tmp_path_factory.mktemp("plans"))
    Store(watched).migrate()
    for table in ("segments", "traces", "nodes_1m", "edges_1m"):
        watched.command(f"SYSTEM STOP MERGES {table}")
    for part in range(PARTS):
        watched.query(INSERT, {"first": part * ROWS // PARTS, "count": ROWS // PARTS})
    try:
        yield watched
    finally:
        watched.close()


@pytest.fixture(autouse=True)
def _nothing_watched(engine: Watched) -> None:
    engine.watching = False


@pytest.fixture(scope="module")
def rollup(engine: Watched) -> Rollup:
    done = Rollup(engine)
    assert done.run_once() == DAYS * HOURS * 5
    assert not done.dirty(FIRST, LAST).minutes
    return done


def _some_trace(engine: Watched, *, random: bool) -> bytes:
    """An id whose first bytes are, or are not, the second of its trace."""
    differ = "!=" if random else "="
    sql = (
        "SELECT trace_id FROM segments WHERE parent_id = 0 AND reinterpretAsUInt32(reverse(substring(trace_id, 1, 4)))"
        f" {differ} toUnixTimestamp(start) ORDER BY trace_id LIMIT 1 OFFSET 100"
    )
    found: bytes = engine.query(sql)["trace_id"][0]
    return found


def _of(engine: Watched, table: str, kind: str) -> list[Index]:
    """Indexes of a kind in the plans of the statements that were run since `watch`."""
    found = []
    for sql, params in engine.statements:
        found += [each for each in engine.indexes(sql, params) if (each.table, each.kind) == (table, kind)]
    return found


def test_the_data_has_enough_granules_to_tell_one_plan_from_another(engine: Watched):
    counted = engine.query(
        "SELECT sum(marks) AS marks, count() AS parts FROM system.parts WHERE active AND table = 'segments'"
    )
    assert counted["marks"][0] > 200
    assert counted["parts"][0] == DAYS * PARTS


def test_a_range_of_time_is_found_by_the_hour_of_the_primary_key(engine: Watched):
    """Not only by the day of the partition: most questions are about an hour."""
    sql = """SELECT id FROM segments WHERE start >= toDateTime64({from:UInt32}, 0, 'UTC')
             AND start < toDateTime64({until:UInt32}, 0, 'UTC')"""
    engine.watch()
    engine.query(sql, {"from": FIRST + HOUR, "until": FIRST + 2 * HOUR})
    [index] = _of(engine, "segments", "PrimaryKey")
    assert "toStartOfHour(start)" in index.keys
    assert index.left <= index.of // HOURS * 3  # that hour, and where the next begins


def test_an_x_ray_id_is_a_few_granules_around_its_second(engine: Watched):
    trace_id = _some_trace(engine, random=False)
    engine.watch()
    assert len(rows(engine, trace_id, now=LAST)) == SPANS
    for index in _of(engine, "segments", "PrimaryKey"):
        assert index.keys[:2] == ["toStartOfHour(start)", "trace_id"]
    assert engine.rows_read <= 6 * PARTS * GRANULE


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
def test_a_random_id_is_looked_for_by_the_primary_key_everywhere(engine: Watched, stored: bool):
    trace_id = _some_trace(engine, random=True) if stored else bytes(range(0xF0, 0x100))
    engine.watch()
    assert len(rows(engine, trace_id, now=LAST)) == (SPANS if stored else 0)
    used = _of(engine, "segments", "PrimaryKey")
    assert all("trace_id" in index.keys for index in used)
    # The granule in which an hour begins can hold any id, so one of each hour and part is looked at.
    assert engine.rows_read <= 3 * DAYS * HOURS * PARTS * GRANULE


def test_an_annotation_is_found_by_the_bloom_filter(engine: Watched, rollup: Rollup):
    engine.watch()
    found, _ = search(engine, rollup.dirty, FIRST, LAST, f'annotation.order = "{ORDER}"')
    assert len(found) == 1
    inner = [
        (query, params)
        for sql, params in engine.statements
        for query in _subqueries(sql)
        if "has(items" in query and "segments" in query and "(SELECT" not in query
    ]
    assert inner, "no statement asks `items`, the form that the index answers"
    used = [each for query, params in inner for each in engine.indexes(query, params) if each.name == "items_bloom"]
    assert len(used) == len(inner)
    assert sum(each.left for each in used) <= sum(each.of for each in used) * 0.05
    # Each statement reads the rows of `traces` in its slice of time; of segments hardly any.
    assert engine.rows_read <= 3 * TRACES + ROWS * 0.1


def test_without_the_bloom_filter_an_annotation_reads_everything(engine: Watched):
    """So the limits above can be exceeded."""
    engine.watch()
    engine.query(f"SELECT trace_id FROM segments WHERE annotations['order'] = '{ORDER}'")
    assert engine.rows_read == ROWS


@pytest.mark.parametrize("text", ["fault = true", "responsetime > 5", 'user = "u-17"', 'service("service-2")', ""])
def test_a_question_about_roots_of_an_hour_reads_that_hour_of_traces_only(engine: Watched, rollup: Rollup, text: str):
    engine.watch()
    search(engine, rollup.dirty, FIRST + HOUR, FIRST + 2 * HOUR, text)
    assert not any("FROM segments" in sql for sql, _ in engine.statements)
    used = _of(engine, "traces", "PrimaryKey")
    assert used
    for index in used:
        assert index.keys[0] == "minute"
        assert index.left < index.of
    an_hour = TRACES // (DAYS * HOURS)
    assert engine.rows_read <= 2 * (an_hour + 4 * GRANULE)  # its rows, and the newest versions of its minutes


def test_the_newest_page_of_a_long_range_does_not_read_the_range(engine: Watched, rollup: Rollup):
    engine.watch()
    found, _ = search(engine, rollup.dirty, FIRST, LAST, 'service("service-2")', 20)
    assert len(found) == 20
    assert engine.rows_read <= TRACES // 4


def test_a_count_reads_no_segments(engine: Watched, rollup: Rollup):
    engine.watch()
    assert count(engine, rollup.dirty, FIRST, LAST, "fault = true") == TRACES // 100
    assert engine.rows_read <= 3 * TRACES


@pytest.mark.parametrize(("seconds", "table"), [(120, "nodes_1m"), (HOUR, "nodes_1h")])
def test_the_map_is_read_by_time(engine: Watched, rollup: Rollup, seconds: int, table: str):
    engine.watch()
    begin = FIRST + 2 * HOUR
    assert service_graph(engine, rollup.dirty, begin, begin + seconds).nodes
    assert not any("FROM segments" in sql for sql, _ in engine.statements)
    used = _of(engine, table, "PrimaryKey")
    assert used
    for index in used:
        assert index.keys[0] in ("minute", "hour")
    assert engine.rows_read <= 12 * GRANULE
