"""What every storage engine must do, with the schema of this version on it. An adapter says how to open an engine."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.segments import RESOURCE, START, full_segment, segments
from fluoro.model import Kind, Resource, Segment
from fluoro_collector.insights import keep
from fluoro_collector.insights.insight import Event, Impact, Insight, Service
from fluoro_collector.query.completion import values as completion_values
from fluoro_collector.query.graph.service_graph import service_graph
from fluoro_collector.query.graph.time_series import series
from fluoro_collector.query.search.search import search
from fluoro_collector.query.search.trace_rows import trace_rows_params, trace_rows_sql
from fluoro_collector.rollup import Rollup
from fluoro_collector.store import histogram, migrate, resources
from fluoro_collector.store.engine import Engine, StoreBusy, StoreError
from fluoro_collector.store.segments import COLUMNS, READ_COLUMNS, from_columns
from fluoro_collector.store.store import Store

AWKWARD = [
    "",
    " ",
    "'",
    '"',
    "\\",
    "\\\\'",
    "\\N",
    "\\x41",
    "a\tb",
    "a\nb\r\n",
    "\0",
    "\b\f\a\v\x1b\x7f",
    "%s %(a)s {b:String} $1",
    "-- /* ; */",
    "NULL",
    "é ß 中 \u2028 \U0001f600",
    "".join(map(chr, range(256))),
]


class StoreContract:
    """Subclasses provide the fixture `engine`, empty; `store` puts the schema on it."""

    @pytest.fixture
    def store(self, engine: Engine) -> Store:
        store = Store(engine)
        store.migrate()
        return store

    # Values in

    @pytest.mark.parametrize("text", AWKWARD)
    def test_a_text_parameter_arrives_as_it_is(self, engine: Engine, text: str) -> None:
        answer = engine.query(
            "SELECT {t:String} AS one, {a:Array(String)} AS many, {m:Map(String, String)} AS map, length({t:String}) AS bytes",
            {"t": text, "a": [text, "x", text], "m": {text: text}},
        )
        assert answer == {
            "one": [text],
            "many": [[text, "x", text]],
            "map": [{text: text}],
            "bytes": [len(text.encode())],
        }

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("UInt64", (1 << 64) - 1),
            ("Int64", -(1 << 63)),
            ("UInt8", True),
            ("Bool", False),
            ("Float64", 0.1 + 0.2),
            ("Float64", -1e300),
            ("Float64", math.inf),
            ("FixedString(16)", bytes(range(16))),
            ("FixedString(16)", b"'\\\n\t\0\r\xff\xfe\x80\x0b\x0c\x08\x07\x1b\"`"),
            ("Array(FixedString(2))", [b"\0\xff", b"'\\"]),
            ("Array(UInt64)", [0, (1 << 64) - 1]),
            ("Array(UInt64)", []),
            ("Array(Bool)", [True, False]),
            ("Array(Tuple(String, UInt8))", [("a'b", 1), ("\\", 2)]),
            ("Map(String, Float64)", {"a": 1.5}),
            ("Nullable(String)", None),
            ("Nullable(String)", "NULL"),
        ],
    )
    def test_a_typed_parameter_arrives_as_it_is(self, engine: Engine, kind: str, value: Any) -> None:
        assert engine.query(f"SELECT {{v:{kind}}} AS v", {"v": value}) == {"v": [value]}

    def test_a_time_parameter_is_exact(self, engine: Engine) -> None:
        answer = engine.query("SELECT fromUnixTimestamp64Nano({t:Int64}, 'UTC') AS t", {"t": START})
        assert answer == {"t": [START]}

    def test_an_unknown_type_of_parameter_is_refused(self, engine: Engine) -> None:
        with pytest.raises(TypeError, match="object"):
            engine.query("SELECT {v:String}", {"v": object()})

    # Values out

    def test_values_come_as_documented(self, engine: Engine) -> None:
        answer = engine.query(
            """
            SELECT toFixedString('ab', 4) AS fixed, toDateTime64('2001-09-09 01:46:40.000000001', 9, 'UTC') AS nano,
                toDateTime64('2001-09-09 01:46:40.001', 3, 'UTC') AS milli, toDateTime('2001-09-09 01:46:40', 'UTC') AS second,
                toUInt64(18446744073709551615) AS big, map('k', 1.5) AS numbers, [1, 2] AS list, (1, 'a') AS tuple,
                toLowCardinality('low') AS low, CAST(NULL, 'Nullable(String)') AS nothing, true AS truth,
                CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)') AS word, sumMap(map(toUInt8(3), toUInt64(4))) AS sums,
                groupArray(('x', toUInt64(7))) AS pairs, unhex('FF') AS no_text
            """
        )
        assert answer == {
            "fixed": [b"ab\0\0"],
            "nano": [1_000_000_000_000_000_001],
            "milli": [1_000_000_000_001],
            "second": [1_000_000_000],
            "big": [(1 << 64) - 1],
            "numbers": [{"k": 1.5}],
            "list": [[1, 2]],
            "tuple": [(1, "a")],
            "low": ["low"],
            "nothing": [None],
            "truth": [True],
            "word": ["b"],
            "sums": [{3: 4}],
            "pairs": [[("x", 7)]],
            "no_text": [b"\xff"],
        }

    def test_an_answer_of_many_blocks_is_one(self, engine: Engine) -> None:
        answer = engine.query("SELECT number, toString(number) AS text FROM numbers(300000)")
        assert answer["number"] == list(range(300_000))
        assert answer["text"][-1] == "299999"

    def test_an_answer_without_rows_has_its_columns(self, store: Store) -> None:
        sql = "WITH 5 AS five SELECT id, five AS x FROM segments WHERE name = {n:String} ORDER BY id LIMIT 3"
        answer = store.engine.query(sql, {"n": "no such"})
        assert answer == {"id": [], "x": []}
        assert list(answer) == ["id", "x"]
        assert store.engine.query(sql, {"n": "no such"}, {"max_threads": 1, "max_execution_time": 2.5}) == answer

    def test_settings_hold_for_their_statement(self, engine: Engine) -> None:
        sql = "SELECT getSetting('max_threads') AS threads"
        assert engine.query(sql, None, {"max_threads": 3}) == {"threads": [3]}
        with pytest.raises(StoreBusy):
            engine.query(
                "SELECT sleepEachRow(0.2) FROM numbers(50)", None, {"max_execution_time": 0.3, "max_block_size": 1}
            )

    # Errors

    @pytest.mark.parametrize(
        "sql", ["SELEC 1", "SELECT * FROM no_such_table", "SELECT no_such_column", "SELECT 1 + 'a'"]
    )
    def test_a_wrong_statement_is_refused_for_good(self, engine: Engine, sql: str) -> None:
        with pytest.raises(StoreError) as refused:
            engine.query(sql)
        assert not isinstance(refused.value, StoreBusy)
        assert "Code: " in str(refused.value)
        assert engine.query("SELECT 1 AS one") == {"one": [1]}

    def test_lack_of_memory_is_worth_a_retry(self, engine: Engine) -> None:
        with pytest.raises(StoreBusy, match="memory"):
            engine.query("SELECT groupArray(number) FROM numbers(3000000) SETTINGS max_memory_usage = 1000000")

    def test_too_many_parts_are_worth_a_retry(self, engine: Engine) -> None:
        engine.command(
            "CREATE TABLE parts (x UInt8) ENGINE = MergeTree ORDER BY x SETTINGS parts_to_throw_insert = 2, parts_to_delay_insert = 0"
        )
        engine.command("SYSTEM STOP MERGES parts")
        for number in range(2):
            engine.insert("parts", {"x": ("UInt8", [number])})
        with pytest.raises(StoreBusy, match="Too many parts"):
            engine.insert("parts", {"x": ("UInt8", [2])})
        assert engine.query("SELECT count() AS n FROM parts") == {"n": [2]}

    def test_a_write_that_fails_in_the_engine_is_no_success(self, engine: Engine) -> None:
        engine.command("CREATE TABLE limited (x UInt8, CONSTRAINT small CHECK x < 100) ENGINE = MergeTree ORDER BY x")
        with pytest.raises(StoreError, match="Constraint"):
            engine.insert("limited", {"x": ("UInt8", [1, 200])})
        assert engine.query("SELECT count() AS n FROM limited") == {"n": [0]}

    def test_a_large_block_with_any_bytes_is_stored_whole(self, engine: Engine) -> None:
        engine.command("CREATE TABLE large (x UInt64, t String) ENGINE = MergeTree ORDER BY x")
        texts = ["\n\n;\n\\'\0" * (number % 50) for number in range(50_000)]
        engine.insert("large", {"x": ("UInt64", list(range(50_000))), "t": ("String", texts)})
        assert engine.query("SELECT t FROM large ORDER BY x") == {"t": texts}

    def test_a_block_may_span_more_days_than_the_server_s_default(self, store: Store) -> None:
        days = [full_segment(id=day + 1, start=START - day * 86_400 * 10**9) for day in range(120)]
        store.insert([(RESOURCE, days)], "many days")
        assert store.count() == 120

    @pytest.mark.parametrize(
        "columns",
        [
            {"id": ("UInt64", [1, 1 << 64])},
            {"id": ("UInt64", [1, "x"])},
            {"id": ("UInt64", [1, 2]), "name": ("LowCardinality(String)", ["only one"])},
            {"no_such_column": ("UInt64", [1, 2])},
            {"name": ("LowCardinality(String)", ["good", "\ud800"])},
        ],
    )
    def test_a_wrong_block_stores_nothing(self, store: Store, columns: dict[str, Any]) -> None:
        with pytest.raises(StoreError) as refused:
            store.engine.insert("segments", columns)
        assert not isinstance(refused.value, StoreBusy)
        assert store.count() == 0
        store.insert([(RESOURCE, [full_segment()])])
        assert store.count() == 1

    def test_a_closed_engine_says_so(self, engine: Engine) -> None:
        engine.close()
        with pytest.raises(StoreError, match="closed"):
            engine.query("SELECT 1")

    # Tokens

    def test_a_token_stores_one_copy(self, store: Store) -> None:
        first, second = full_segment(id=1), full_segment(id=2)
        for _ in range(3):
            store.insert([(RESOURCE, [first])], "batch-1")
            store.insert([(RESOURCE, [second])], "batch'2\\")
        assert store.count() == 2

    def test_a_token_survives_many_other_inserts(self, store: Store) -> None:
        for number in [*range(1, 25), *range(1, 25)]:
            store.insert([(RESOURCE, [full_segment(id=number)])], f"batch-{number}")
        assert store.count() == 24

    def test_equal_data_without_a_token_is_stored_again(self, store: Store) -> None:
        # Two equal blocks of two senders are two facts; only a token says that one is a copy.
        rows = {"number": ("UInt32", [8000]), "name": ("String", ["x"]), "applied": ("DateTime64(3, 'UTC')", [0])}
        store.engine.insert("schema_migrations", rows)
        store.engine.insert("schema_migrations", rows)
        assert store.engine.query("SELECT count() AS n FROM schema_migrations WHERE number = 8000") == {"n": [2]}

    def test_a_token_covers_all_days_of_a_block(self, store: Store) -> None:
        days = [
            full_segment(id=day, start=START + day * 86_400 * 10**9, end=START + day * 86_400 * 10**9)
            for day in (1, 2, 3)
        ]
        store.insert([(RESOURCE, days)], "three days")
        store.insert([(RESOURCE, days)], "three days")
        assert store.count() == 3

    # Concurrency

    def test_calls_from_many_threads_do_not_meet(self, store: Store) -> None:
        barrier = threading.Barrier(8)

        def work(number: int) -> None:
            barrier.wait(30)
            for turn in range(3):
                store.insert(
                    [(RESOURCE, [full_segment(id=number * 100 + turn, user=f"user-{number}")])], f"{number}-{turn}"
                )
                answer = store.engine.query("SELECT {n:UInt64} AS n, {t:String} AS t", {"n": number, "t": f"t{number}"})
                assert answer == {"n": [number], "t": [f"t{number}"]}
                with pytest.raises(StoreError):
                    store.engine.query("SELECT nonsense")

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(work, number) for number in range(8)]:
                done.result(60)
        assert store.count() == 24

    # Schema

    def test_migrations_run_once(self, engine: Engine) -> None:
        store = Store(engine)
        assert store.migrate() == [name for name, _ in migrate.files().values()]
        assert store.migrate() == []

    def test_a_migration_that_was_cut_off_runs_again(self, store: Store) -> None:
        store.engine.command("TRUNCATE TABLE schema_migrations")
        assert store.migrate() == [name for name, _ in migrate.files().values()]

    def test_a_newer_schema_is_refused(self, store: Store) -> None:
        store.engine.insert(
            "schema_migrations",
            {
                "number": ("UInt32", [9999]),
                "name": ("String", ["9999_new.sql"]),
                "applied": ("DateTime64(3, 'UTC')", [0]),
            },
        )
        with pytest.raises(StoreError, match=r"9999.*newer version"):
            store.migrate()

    def test_the_columns_of_an_insert_are_the_table_s(self, store: Store) -> None:
        table = store.engine.query("DESCRIBE TABLE segments")
        taken = [
            (name, kind)
            for name, kind, default in zip(table["name"], table["type"], table["default_type"], strict=True)
            if default not in {"ALIAS", "MATERIALIZED"} and name not in {"annotation_pairs", "annotations", "numbers"}
        ]
        assert taken == list(COLUMNS.items())
        readable = {
            name for name, default in zip(table["name"], table["default_type"], strict=True) if default != "EPHEMERAL"
        }
        assert set(READ_COLUMNS.split(", ")) <= readable

    def test_every_column_and_table_is_commented(self, store: Store) -> None:
        columns = store.engine.query(
            "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase() AND comment = ''"
        )
        assert list(zip(columns["table"], columns["name"], strict=True)) == []
        assert store.engine.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
        ) == {"name": []}

    # Segments

    def test_a_segment_with_every_field_comes_back(self, store: Store) -> None:
        segment = full_segment()
        assert all(
            getattr(segment, name) != getattr(Segment(b"", 0, 0, "", 0), name)
            for name in set(Segment.__struct_fields__) - {"in_progress"}
        )
        store.insert([(RESOURCE, [segment])])
        (row,) = from_columns(store.engine.query(f"SELECT {READ_COLUMNS} FROM segments"))
        assert row.segment == segment
        assert _types(row.segment.annotations) == _types(segment.annotations)
        assert (row.service, row.peer_name, row.peer_type) == ("payments", "orders", "AWS::DynamoDB::Table")
        assert resources.read(store.engine, [row.resource_id, 5]) == {row.resource_id: RESOURCE}

    # The kit runs on several engines, each in a class of its own: hence differing executors.
    def test_an_annotation_that_is_no_number_of_json_comes_back(self, store: Store) -> None:
        found = [_replace(full_segment(), annotations={"load": value}) for value in (math.inf, -math.inf, 1e300)]
        store.insert([(RESOURCE, [_replace(one, id=number) for number, one in enumerate(found, 1)])])
        rows = from_columns(store.engine.query(f"SELECT {READ_COLUMNS} FROM segments ORDER BY id"))
        assert [row.segment.annotations for row in rows] == [one.annotations for one in found]

    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.differing_executors,
        ],
    )
    @given(found=st.lists(segments, max_size=8))
    def test_any_segment_comes_back(self, store: Store, found: list[Segment]) -> None:
        store.engine.command("TRUNCATE TABLE segments")
        numbered = [_replace(segment, id=number) for number, segment in enumerate(found, 1)]
        assert store.insert([(RESOURCE, numbered[:3]), (Resource(), numbered[3:])]) == len(found)
        rows = from_columns(store.engine.query(f"SELECT {READ_COLUMNS} FROM segments ORDER BY id"))
        assert [row.segment for row in rows] == numbered
        assert [_types(row.segment.annotations) for row in rows] == [
            _types(segment.annotations) for segment in numbered
        ]

    def test_a_row_knows_its_service(self, store: Store) -> None:
        entry = full_segment(id=1, subsegment=False, name="front", service="")
        call = full_segment(id=2, service="")
        lone = full_segment(id=3, service="")
        store.insert([(RESOURCE, [entry, call]), (Resource(), [lone])])
        answer = store.engine.query("SELECT id, service, environment, version FROM segments ORDER BY id")
        assert answer["service"] == ["front", "shop", ""]
        assert answer["environment"] == ["prod", "prod", ""]
        assert answer["version"] == ["1.4.2", "1.4.2", ""]

    def test_annotations_are_text_numbers_and_items(self, store: Store) -> None:
        annotations = {
            "text": 'a"b\\c',
            "yes": True,
            "no": False,
            "int": -3,
            "float": 0.1,
            "zero": 0,
            "digit": "7",
            "": "e",
        }
        store.insert([(RESOURCE, [full_segment(annotations=annotations)])])
        answer = store.engine.query("SELECT annotations, numbers, items FROM segments")
        assert answer["annotations"] == [{"text": 'a"b\\c', "yes": "true", "no": "false", "digit": "7", "": "e"}]
        assert answer["numbers"] == [{"int": -3.0, "float": 0.1, "zero": 0.0}]
        assert set(answer["items"][0]) == {
            'text=a"b\\c',
            "yes=true",
            "no=false",
            "digit=7",
            "=e",
            "int=-3",
            "float=0.1",
            "zero=0",
        }

    def test_the_finished_copy_replaces_the_unfinished(self, store: Store) -> None:
        finished = full_segment(in_progress=False)
        for copy in (finished, full_segment(in_progress=True, end=0), finished):
            store.insert([(RESOURCE, [copy])])
        store.engine.command("OPTIMIZE TABLE segments FINAL")
        assert [row.segment for row in from_columns(store.engine.query(f"SELECT {READ_COLUMNS} FROM segments"))] == [
            finished
        ]

    def test_newest_and_count(self, store: Store) -> None:
        assert (store.newest(), store.count()) == (None, 0)
        assert store.insert([(RESOURCE, [])]) == 0
        store.insert([(RESOURCE, [full_segment(id=1), full_segment(id=2)])])
        newest = store.newest()
        assert newest is not None
        assert newest > START
        assert store.count() == 2

    # Indexes

    def test_an_annotation_is_found_by_the_bloom_index(self, store: Store) -> None:
        for day in range(4):
            start = START + day * 86_400 * 10**9
            annotations = {"order": f"A-{day}", "count": day, "gift": day == 2}
            store.insert([(RESOURCE, [full_segment(id=day + 1, start=start, end=start, annotations=annotations)])])
        for item in ("order=A-2", "count=2", "gift=true"):
            where = "has(items, {item:String})"
            answer = store.engine.query(f"SELECT id FROM segments WHERE {where}", {"item": item})
            assert answer == {"id": [3]}
            assert _parts_after(store.engine, where, {"item": item}, "items_bloom") == (1, 4)

    def test_service_duration_and_received_have_an_index(self, store: Store) -> None:
        for day in range(4):
            start = START + day * 86_400 * 10**9
            segment = full_segment(id=day + 1, start=start, end=start + day * 10**9, service=f"service-{day}")
            store.insert([(RESOURCE, [segment])])
        assert _parts_after(store.engine, "service = 'service-1'", {}, "service_set") == (1, 4)
        assert _parts_after(store.engine, "duration > 2500000000", {}, "duration_range") == (1, 4)
        assert _parts_after(store.engine, "received > now64(3) + INTERVAL 1 DAY", {}, "received_range") == (0, 4)

    def test_a_trace_is_read_by_the_primary_key(self, store: Store) -> None:
        segment = full_segment(kind=Kind.SERVER)
        store.insert([(RESOURCE, [segment])])
        keys = _index(store.engine, "trace_id = {id:FixedString(16)}", {"id": segment.trace_id}, "PrimaryKey")
        assert "trace_id" in keys

    # Rollups

    def test_a_bucket_is_the_same_in_sql_and_python(self, engine: Engine) -> None:
        bounds = [2 ** ((index + histogram.FIRST) / histogram.PER_OCTAVE) for index in range(-8, histogram.LAST + 3)]
        near = {math.floor(bound) + step for bound in bounds for step in (-1, 0, 1, 2)}
        durations = sorted({0, 1, (1 << 53) + 1, (1 << 64) - 1} | near)
        sql = f"SELECT groupArray({histogram.bucket_sql('d')}) AS b FROM (SELECT arrayJoin({{d:Array(UInt64)}}) AS d)"
        buckets = [histogram.bucket(duration) for duration in durations]
        assert engine.query(sql, {"d": durations}) == {"b": [buckets]}
        assert set(buckets) == set(range(histogram.LAST + 1))

    @pytest.mark.parametrize("table", ["nodes_1m", "edges_1m"])
    def test_a_rollup_is_replaced_and_histograms_add_up(self, store: Store, table: str) -> None:
        figures = {
            "minute": ("DateTime('UTC')", [60]),
            "total": ("UInt64", [5]),
            "histogram": ("Map(UInt8, UInt64)", [{3: 5}]),
        }
        store.engine.insert(table, {**figures, "version": ("UInt64", [1])})
        store.engine.insert(
            table,
            {
                "minute": ("DateTime('UTC')", [60, 120]),
                "total": ("UInt64", [6, 1]),
                "histogram": ("Map(UInt8, UInt64)", [{3: 4, 9: 2}, {9: 1}]),
                "version": ("UInt64", [2, 2]),
            },
        )
        answer = store.engine.query(f"SELECT sum(total) AS total, sumMap(histogram) AS histogram FROM {table} FINAL")
        assert answer == {"total": [7], "histogram": [{3: 4, 9: 3}]}

    def test_an_insight_is_replaced_and_found(self, store: Store) -> None:
        root = Service("web", AWKWARD[4])
        made = Insight(
            id="00000000-0000-5000-8000-000000000001",
            group="Default",
            group_arn="arn",
            root=root,
            start=3600,
            checked=3660,
            out=3660,
            usual=0.25,
            summary=AWKWARD[-1],
        )
        event = Event(3720, AWKWARD[-1], Impact(1, 2, 3), Impact(), (root,))
        absorbed = msgspec.structs.replace(made, id="00000000-0000-5000-8000-000000000002")
        keep.save(store.engine, [made, absorbed])
        closed = msgspec.structs.replace(made, end=3720, events=(event,))
        assert keep.find(store.engine, state="ACTIVE") == [absorbed, made]
        keep.save(store.engine, [closed], [absorbed])
        assert keep.find(store.engine, events=True) == [closed]
        assert keep.find(store.engine, state="ACTIVE") == []
        assert keep.find(store.engine, 3720) == keep.find(store.engine, last=3600) == []
        assert keep.find(store.engine, id_=made.id) == [msgspec.structs.replace(closed, events=())]

    def test_a_rollup_fills_every_table_and_is_read_back(self, store: Store) -> None:
        """Array, map, low-cardinality and ephemeral columns go in by blocks; live and stored rows come out alike."""
        trace_id = (START // 10**9).to_bytes(4, "big") + b"rolled up..."
        root = Segment(
            trace_id, 1, 0, "web", START, START + 10**9, Kind.SERVER, user="ann", annotations={"tier": "gold"}
        )
        call = Segment(
            trace_id, 2, 1, "pay", START, START + 10**9, Kind.CLIENT, True, "remote", throttle=True, error=True
        )
        store.insert([(Resource(service_name="web"), [root, call])])
        rollup = Rollup(store.engine)
        first = START // 10**9 // 86_400 * 86_400
        whole = (first, first + 86_400)

        def answers() -> list[Any]:
            live = rollup.dirty(*whole)
            sql = f"SELECT * FROM {trace_rows_sql(graph=True, live=bool(live.minutes))}"
            rows = store.engine.query(sql, trace_rows_params(*whole, live))
            rows["nodes"], rows["edges"] = ([sorted(each) for each in rows[name]] for name in ("nodes", "edges"))
            hours = series(store.engine, rollup.dirty, *whole, 3600, ("pay", None)).values()
            return [service_graph(store.engine, rollup.dirty, *whole), rows, sum(hour.throttle for hour in hours)]

        live = answers()
        assert rollup.run_once() == 1
        assert answers() == live
        graph, rows, throttled = live
        assert {edge.id: edge.throttle for edge in graph.edges} == {"web|client->web|": 0, "web|->pay|remote": 1}
        assert rows["nodes"] == [[("pay", "remote", 1 << 3), ("web", "", 1)]]
        assert (rows["users"], rows["services"], rows["segments"], throttled) == ([["ann"]], [["web"]], [2], 1)
        assert completion_values.values(store.engine, *whole, "annotation.tier") == [("gold", 1)]
        assert completion_values.keys(store.engine, *whole) == [("tier", 1)]

    @pytest.mark.parametrize(
        "text",
        [
            'throttle AND user CONTAINS "\'" AND annotation["it\'s"] = "\\\\ \t" AND service("web") { responsetime >= 1 AND root }',
            'edge("web", "pay") { remote } AND rootcause.responsetime.entity { name = "pay" } AND account.id = "12"',
        ],
    )
    def test_a_search_asks_for_columns_rows_requests_and_causes(self, store: Store, text: str) -> None:
        trace_id = (START // 10**9).to_bytes(4, "big") + b"searched for"
        annotations = {"it's": "\\ \t"}
        root = Segment(trace_id, 1, 0, "web", START, START + 10**9, Kind.SERVER, user="o'hara", annotations=annotations)
        call = Segment(trace_id, 2, 1, "pay", START, START + 9 * 10**8, Kind.CLIENT, True, "remote", throttle=True)
        store.insert([(Resource(service_name="web", attributes={"cloud.account.id": "12"}), [root, call])])
        rollup = Rollup(store.engine)
        window = (START / 10**9 - 60, START / 10**9 + 60)
        assert [found.trace_id for found in search(store.engine, rollup.dirty, *window, text)[0]] == [trace_id]
        rollup.run_once()
        assert [found.trace_id for found in search(store.engine, rollup.dirty, *window, text)[0]] == [trace_id]


def _replace(segment: Segment, **fields: Any) -> Segment:
    return Segment(**{**{name: getattr(segment, name) for name in Segment.__struct_fields__}, **fields})


def _types(annotations: dict[str, Any] | None) -> dict[str, type] | None:
    return None if annotations is None else {key: type(value) for key, value in annotations.items()}


def _plan(engine: Engine, where: str, params: dict[str, Any]) -> list[str]:
    # The cache of past conditions would answer for the index.
    sql = f"EXPLAIN indexes = 1 SELECT id FROM segments WHERE {where} SETTINGS use_query_condition_cache = 0, use_skip_indexes_on_data_read = 0"
    return [line.strip() for line in engine.query(sql, params)["explain"]]


def _parts_after(engine: Engine, where: str, params: dict[str, Any], index: str) -> tuple[int, int]:
    """(parts left, parts before) of one skip index."""
    plan = _plan(engine, where, params)
    named = plan.index(f"Name: {index}")
    left, before = next(line for line in plan[named:] if line.startswith("Parts: "))[7:].split("/")
    return int(left), int(before)


def _index(engine: Engine, where: str, params: dict[str, Any], index: str) -> list[str]:
    plan = _plan(engine, where, params)
    return plan[plan.index(index) :]
