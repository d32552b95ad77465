"""Spans made inside the engine: every value that differs from span to span is a hash of its number, the rest is a shape.

`Spans.make` fills the table `bench_spans` with the facts of one day (ids, times, outcome, values); the inserts of both
tables read them from there and put the values in the places of the marks (`store_shapes.py`).
"""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import store_shapes as shapes

from fluoro_collector.store import resources, segments
from fluoro_collector.store.engine import Engine

DAY = 86_400
SECOND = 1_000_000_000
_LOW = "LowCardinality(String)"
_MARKS = ("user", "tenant", "order", "item", "address", "request", "size", "thread", "count")
_WEIGHTS = 20_000  # entries of the list from which a trace takes its template

# Facts of a day's spans, in the order in which they would arrive.
_FACTS = """
CREATE TABLE bench_spans
(
    trace UInt64, position UInt8, shape UInt32, process UInt32, trace_id FixedString(16), id UInt64, parent_id UInt64,
    start DateTime64(9, 'UTC'), duration UInt64, received DateTime64(3, 'UTC'),
    user String, tenant String, `order` String, item String, address String, request String, size String, thread String,
    count String
) ENGINE = Memory
"""
_MAKE = """
INSERT INTO bench_spans
WITH
    cityHash64(trace, 'fate') AS fate,
    -- About log-normal; 3 in 1,000 traces take 12 times as long.
    base * exp((cityHash64(trace, 'a') % 1000 + cityHash64(trace, 'b') % 1000 + cityHash64(trace, 'c') % 1000) / 1000 - 1.5)
        * if(fate % 1000 < 3, 12, 1) AS milliseconds,
    intDiv(fate, 1000) % length(spans) AS failing,
    intDiv(fate, 1000000) % 1000 AS kind_of_fate,
    multiIf(
        kind_of_fate < 10 AND bitTest(span.6, failing), 3,
        kind_of_fate >= 10 AND kind_of_fate < 30 AND span.1 = 0, 1,
        kind_of_fate >= 30 AND kind_of_fate < 33 AND span.1 = failing, 2,
        0
    ) AS outcome,
    cityHash64(trace, span.1) AS own,
    {day:Int64} * 1000000000 + cityHash64(trace, 'when') % 86390000000000 AS began,
    toUInt32(intDiv(began, 1000000000)) AS second,
    cityHash64(trace, 'user') % 1000000 AS user_number
SELECT
    trace,
    span.1,
    template * 128 + span.1 * 4 + outcome,
    span.3 * PROCESSES + (cityHash64(trace, span.3) % HOSTS) * VERSIONS + intDiv({number:UInt32} * VERSIONS, {days:UInt32}),
    -- Four in five ids carry their second, as X-Ray's do; the others are random.
    toFixedString(concat(
        if(trace % 5 = 0, reinterpretAsFixedString(toUInt32(cityHash64(trace, 'x'))), reverse(reinterpretAsFixedString(second))),
        reinterpretAsFixedString(cityHash64(trace, 'y')),
        reinterpretAsFixedString(toUInt32(cityHash64(trace, 'z')))
    ), 16),
    cityHash64(trace, span.1, 'id'),
    if(span.2 < 0, 0, cityHash64(trace, toUInt8(span.2), 'id')),
    fromUnixTimestamp64Nano(began + toInt64(milliseconds * span.4 * 1e6), 'UTC'),
    toUInt64(milliseconds * span.5 * 1e6 * (0.95 + own % 1000 / 20000)) AS duration,
    fromUnixTimestamp64Milli(toInt64((second + 2) * 1000), 'UTC'),
    concat('user-', toString(user_number)),
    concat('tenant-', toString(user_number % 211)),
    lower(hex(cityHash64(trace, 'order'))),
    toString(own % 10000000),
    concat('203.', toString(user_number % 200), '.', toString(intDiv(user_number, 200) % 256), '.', toString(user_number % 251)),
    concat(lower(hex(own)), '-', toString(trace)),
    toString(200 + own % 20000),
    toString(140000000000 + own % 64 * 4096),
    toString(own % 50)
FROM
(
    SELECT trace, {pick:Array(UInt16)}[1 + cityHash64(trace, 'template') % length({pick:Array(UInt16)})] AS template
    FROM (SELECT {first:UInt64} + number AS trace FROM numbers({count:UInt64}))
) AS chosen
INNER JOIN bench_templates USING (template)
ARRAY JOIN spans AS span
WHERE NOT (span.7 AND outcome = 0 AND own % 5 = 0)
SETTINGS max_threads = 2
"""
MAKE = (
    _MAKE.replace("PROCESSES", str(shapes.HOSTS * shapes.VERSIONS))
    .replace("HOSTS", str(shapes.HOSTS))
    .replace("VERSIONS", str(shapes.VERSIONS))
)


class Spans:
    """The generator in one engine. `seconds_from` is the first second of the `days` days."""

    def __init__(self, engine: Engine, first_second: int, days: int) -> None:
        self.engine = engine
        self.first_second = first_second
        self.days = days
        self.templates = shapes.templates()
        chance = random.Random(1)
        # The templates are as unequal as the pages of a site: a few make most of the requests.
        weights = [1 / math.sqrt(1 + chance.randrange(shapes.TEMPLATES)) for _ in self.templates]
        total = sum(weights)
        self._pick = [
            number for number, weight in enumerate(weights) for _ in range(max(1, round(weight / total * _WEIGHTS)))
        ]
        spans = [span for number in self._pick for span in self.templates[number].spans]
        self.per_trace = sum(0.8 if span.optional else 1 for span in spans) / len(self._pick)
        self._tables()

    def make(self, number: int, first: int, count: int) -> int:
        """Traces `first` to `first + count` on day `number`; how many spans they have."""
        self.engine.command("TRUNCATE TABLE bench_spans")
        params = {
            "day": self.first_second + number * DAY,
            "number": number,
            "days": self.days,
            "first": first,
            "count": count,
            "pick": self._pick,
        }
        self.engine.query(MAKE, params)
        return int(self.engine.query("SELECT count() AS rows FROM bench_spans")["rows"][0])

    def _tables(self) -> None:
        self.engine.command(_FACTS)
        self.engine.command(
            "CREATE TABLE bench_templates (template UInt16, base Float64, spans Array(Tuple(UInt8, Int16, UInt16, Float64,"
            " Float64, UInt32, UInt8))) ENGINE = Memory"
        )
        rows = [
            [
                (span.position, span.parent, span.service, span.start, span.length, span.below, span.optional)
                for span in template.spans
            ]
            for template in self.templates
        ]
        self.engine.insert(
            "bench_templates",
            {
                "template": ("UInt16", list(range(len(rows)))),
                "base": ("Float64", [template.milliseconds for template in self.templates]),
                "spans": ("Array(Tuple(UInt8, Int16, UInt16, Float64, Float64, UInt32, UInt8))", rows),
            },
        )
        self._shapes()
        self._processes()

    def _shapes(self) -> None:
        """bench_fluoro and bench_otel: a row for each span of a template and outcome."""
        numbers: list[int] = []
        made: list[tuple[Any, Any]] = []
        otel: dict[str, tuple[str, list[Any]]] = {
            "shape": ("UInt32", numbers),
            "name": (_LOW, []),
            "kind": (_LOW, []),
            "status": (_LOW, []),
            "keys": ("Array(LowCardinality(String))", []),
            "values": ("String", []),
            "event_names": ("Array(LowCardinality(String))", []),
            "event_attributes": ("Array(Map(LowCardinality(String), String))", []),
        }
        for template, each in enumerate(self.templates):
            for span in each.spans:
                for outcome, shape in enumerate(shapes.shapes(span)):
                    numbers.append(template * 128 + span.position * 4 + outcome)
                    made.append((shapes.resource(span.service, 0, 0)[0], [shape.segment]))
                    otel["name"][1].append(span.name)
                    otel["kind"][1].append(span.kind.name.capitalize())
                    otel["status"][1].append("Error" if shape.failed else "Unset")
                    otel["keys"][1].append(list(shape.attributes))
                    otel["values"][1].append(_marked("\n".join(_text(value) for value in shape.attributes.values())))
                    otel["event_names"][1].append([name for name, _ in shape.events])
                    otel["event_attributes"][1].append([attributes for _, attributes in shape.events])
        self._memory_table("bench_otel", otel)
        fluoro: dict[str, tuple[str, list[Any]]] = {"shape": ("UInt32", numbers)}
        for name, (kind, values) in segments.to_columns(made, 0).items():
            kept = [value.decode() if isinstance(value, bytes) and name != "trace_id" else value for value in values]
            fluoro[name] = (kind, [_marked(value) if isinstance(value, str) else value for value in kept])
        self._marked_columns = {
            name: [mark for mark in (*_MARKS, "cause") if any(f"~{mark}~" in value for value in set(values))]
            for name, (kind, values) in fluoro.items()
            if kind in ("String", _LOW)
        }
        self._memory_table("bench_fluoro", fluoro)

    def _processes(self) -> None:
        keys = [
            (service, host, version)
            for service in range(shapes.SERVICES)
            for host in range(shapes.HOSTS)
            for version in range(shapes.VERSIONS)
        ]
        each = [shapes.resource(*key)[0] for key in keys]
        self._memory_table(
            "bench_processes",
            {
                "process": ("UInt32", list(range(len(keys)))),
                "resource_id": ("UInt64", [resources.resource_id(resource) for resource in each]),
                "version": (_LOW, [resource.service_version for resource in each]),
                "service": (_LOW, [resource.service_name for resource in each]),
                "attributes": (
                    "Map(LowCardinality(String), String)",
                    [shapes.resource_attributes(*key) for key in keys],
                ),
            },
        )
        rows = resources.to_columns({resources.resource_id(resource): resource for resource in each}, 0)
        self.engine.insert("resources", rows)

    def _memory_table(self, name: str, columns: dict[str, tuple[str, list[Any]]]) -> None:
        declared = ", ".join(f"`{column}` {kind}" for column, (kind, _) in columns.items())
        self.engine.command(f"CREATE TABLE {name} ({declared}) ENGINE = Memory")
        self.engine.insert(name, columns)

    def insert_fluoro(self, table: str = "segments") -> str:
        """INSERT of the facts' rows into a table of our schema."""
        of_facts = {"trace_id", "id", "parent_id", "start", "duration", "received"}
        of_process = {"resource_id", "version"}
        values = []
        for name in segments.COLUMNS:
            if name in of_facts:
                values.append(f"s.{name}")
            elif name in of_process:
                values.append(f"p.{name}")
            elif name == "http_content_length":
                values.append(f"if(o.{name} = {shapes.SIZE}, toInt64(s.size), o.{name})")
            else:
                values.append(_filled(f"o.{name}", self._marked_columns.get(name, [])))
        return (
            f"INSERT INTO {table} ({', '.join(segments.COLUMNS)}) SELECT {', '.join(values)} FROM bench_spans AS s"
            " INNER JOIN bench_fluoro AS o ON o.shape = s.shape INNER JOIN bench_processes AS p ON p.process = s.process"
        )

    def insert_otel(self, table: str) -> str:
        """INSERT of the same spans into a table of the OpenTelemetry exporter's schema."""
        return (
            f"INSERT INTO {table} (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName,"
            " ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, Events.Timestamp,"
            " Events.Name, Events.Attributes)"
            " SELECT s.start, lower(hex(s.trace_id)), lower(hex(s.id)), if(s.parent_id = 0, '', lower(hex(s.parent_id))),"
            " o.name, o.kind, p.service, p.attributes, 'fluoro.bench.instrumentation', '0.61b0',"
            f" mapFromArrays(o.keys, splitByChar('\\n', {_filled('o.values', list(_MARKS))})), s.duration, o.status,"
            " arrayMap(name -> fromUnixTimestamp64Nano(toUnixTimestamp64Nano(s.start) + toInt64(s.duration)), o.event_names),"
            " o.event_names, o.event_attributes"
            " FROM bench_spans AS s INNER JOIN bench_otel AS o ON o.shape = s.shape"
            " INNER JOIN bench_processes AS p ON p.process = s.process"
        )


def _text(value: Any) -> str:
    """A value as the exporter writes it: all attributes are text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _marked(text: str) -> str:
    """`text` with marks in place of the numbers that stand for them."""
    for number, mark in shapes.NUMBERS.items():
        text = text.replace(number, mark)
    return text.replace(shapes.CAUSE_ID, "~cause~")


def _filled(column: str, marks: list[str]) -> str:
    """Expression: the column with its marks replaced by the span's values."""
    text = f"toString({column})" if marks else column
    for mark in marks:
        value = "lower(hex(s.id + 1))" if mark == "cause" else f"s.{mark}"
        text = f"replaceAll({text}, '~{mark}~', {value})"
    return text
