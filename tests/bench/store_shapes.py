"""What the spans of `bench_store.py` look like: 100 services, what they call, and the traces this makes. Pure, from a seed.

A trace is one of `TEMPLATES`: 5 to 20 spans, several services deep. Each span is written once, as an OpenTelemetry SDK
sends it, with marks (`~user~`) where a value differs from trace to trace. The collector's own OTLP decoder and column
writer make fluoro's row of it, so both tables hold the same span; the engine puts in the values (`store_spans.py`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fluoro.model import Kind, Resource, Segment
from fluoro_collector.decode.otlp_spans import Origin, RawSpan, origin_of, to_segment

SERVICES = 100
FRONTS = 8  # the first of them take requests from outside
TEMPLATES = 2_000
MOST_SPANS = 20
HOSTS, VERSIONS = 3, 4  # processes of a service
OK, ERROR, THROTTLE, FAULT = range(4)  # outcome of a span

_AREAS = [
    "order",
    "cart",
    "stock",
    "price",
    "user",
    "mail",
    "media",
    "search",
    "ship",
    "bill",
    "tax",
    "risk",
    "vote",
    "chat",
    "feed",
    "tag",
    "geo",
    "plan",
    "rate",
    "log",
]
_ROLES = ["api", "core", "worker", "store", "sync"]
NAMES = ["web", "mobile-api", "partner-api", "admin", "webhooks", "graphql", "checkout", "login"]
NAMES += [f"{area}-{role}" for role in _ROLES for area in _AREAS][: SERVICES - FRONTS]
_NOUNS = [
    "orders",
    "items",
    "users",
    "carts",
    "prices",
    "shipments",
    "invoices",
    "labels",
    "votes",
    "rooms",
    "posts",
    "tags",
    "places",
    "plans",
    "rates",
    "events",
]
_AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/{version}.0" for version in range(120, 132)]

# Marks in texts, and numbers that stand for marks where the value is a number. All have as many digits as no real one.
USER, TENANT, ORDER, ITEM, ADDRESS, REQUEST = "~user~", "~tenant~", "~order~", "~item~", "~address~", "~request~"
SIZE, THREAD, COUNT = 9_000_000_011, 9_000_000_012, 9_000_000_013
NUMBERS = {str(SIZE): "~size~", str(THREAD): "~thread~", str(COUNT): "~count~"}
MARK_ID = 0x7E7E7E7E7E7E7E7D  # the id of every span here; a cause is named by the id after it
CAUSE_ID = f"{MARK_ID + 1:016x}"
_TRACE_ID = b"\x01" * 16


@dataclass
class Span:
    """One span of a template. `start` and `length` are shares of the trace's time; `below` has the bit of each position
    at or under this one: when one of them fails, this one does. `attributes` are those of a span that succeeds.
    """

    position: int
    parent: int
    service: int
    kind: Kind
    name: str
    start: float
    length: float
    attributes: dict[str, Any]
    below: int = 0

    @property
    def alone(self) -> bool:
        """Nothing is below it."""
        return self.below == 1 << self.position

    @property
    def optional(self) -> bool:
        """Some requests do without it (a cache, another branch): a call that no service answers, or a step."""
        return self.alone and self.kind not in (Kind.SERVER, Kind.CONSUMER)


@dataclass
class Template:
    """`milliseconds` is the usual length of the trace."""

    milliseconds: float
    spans: list[Span] = field(default_factory=list)


class Shape(NamedTuple):
    """A span of a template with one outcome: as sent, and fluoro's segment of it."""

    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    failed: bool
    segment: Segment


def resource_attributes(service: int, host: int, version: int) -> dict[str, Any]:
    """Attributes of one process."""
    name = NAMES[service]
    found: dict[str, Any] = {
        "service.name": name,
        "service.version": f"2.{version + service % 7}.0",
        "service.instance.id": f"{name}-{host}-{version}-7d9f6c",
        "deployment.environment.name": "production",
        "host.name": f"ip-10-0-{service}-{host}.internal",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": "1.38.0",
        "process.runtime.version": "3.12.4",
        "cloud.region": "eu-central-1",
        "os.type": "linux",
    }
    if service % 3 == 0:
        found["cloud.platform"] = "aws_ecs"
    return found


def resource(service: int, host: int, version: int) -> tuple[Resource, str]:
    """The resource of one process, and its origin."""
    return origin_of(resource_attributes(service, host, version))


class _Service(NamedTuple):
    """What a service offers, (method, path), and what it does to do it. Many templates share each of these names."""

    routes: list[tuple[str, str]]
    statements: list[tuple[str, str, str]]
    callees: list[int]


def templates(seed: int = 7) -> list[Template]:
    """Every service is in some template. Names of spans: about two thousand."""
    chance = random.Random(seed)
    services = [_service(number, chance) for number in range(SERVICES)]
    made = [_Builder(random.Random(f"{seed}.{number}"), services).build(number) for number in range(TEMPLATES)]
    used = {span.service for template in made for span in template.spans}
    if used != set(range(SERVICES)):
        raise RuntimeError(f"services without spans: {sorted(set(range(SERVICES)) - used)}")
    return made


def _service(number: int, chance: random.Random) -> _Service:
    routes = [
        (chance.choice(["GET", "GET", "GET", "POST", "PUT"]), f"/v1/{noun}/{{id}}{action}")
        for noun in chance.sample(_NOUNS, 10)
        for action in chance.sample(["", "/history", "/status", "/lines"], 2 if number < FRONTS else 1)
    ]
    statements = [
        chance.choice(
            [
                ("SELECT", table, f"SELECT id, state, total, created FROM {table} WHERE id = $1"),
                ("SELECT", table, f"SELECT * FROM {table} WHERE tenant = $1 AND state = $2 ORDER BY created LIMIT $3"),
                ("INSERT", table, f"INSERT INTO {table} (id, tenant, state, total) VALUES ($1, $2, $3, $4)"),
                ("UPDATE", table, f"UPDATE {table} SET state = $1, changed = now() WHERE id = $2"),
            ]
        )
        for table in chance.sample(_NOUNS, 5)
    ]
    return _Service(routes, statements, _callees(number, chance))


def _callees(service: int, chance: random.Random) -> list[int]:
    """Whom a service calls: the next one, so that each is called by one at least, and some further down."""
    first = FRONTS + service * 4 if service < FRONTS else service + 1
    below = [first + step for step in range(4 if service < FRONTS else 1) if first + step < SERVICES]
    farther = range(max(service + 1, FRONTS), SERVICES)
    return below + chance.sample(farther, min(3, len(farther)))


class _Builder:
    """One template, by a walk along the calls until its number of spans is reached."""

    def __init__(self, chance: random.Random, services: list[_Service]) -> None:
        self.chance = chance
        self.services = services
        self.wanted = chance.randint(5, MOST_SPANS)
        self.made = Template(milliseconds=chance.choice([20, 40, 80, 80, 160, 400]))

    def build(self, number: int) -> Template:
        if number % 10 < 7:
            self._serve(-1, self.chance.randrange(FRONTS), 0.0, 1.0, 0)
        else:  # a queue starts this one
            self._consume(-1, self.chance.randrange(FRONTS, SERVICES), 0.0, 1.0, 0)
        spans = self.made.spans
        for span in reversed(spans):
            span.below |= 1 << span.position
            if span.parent >= 0:
                spans[span.parent].below |= span.below
        return self.made

    def _add(
        self, parent: int, service: int, kind: Kind, name: str, start: float, length: float, attributes: dict[str, Any]
    ) -> int:
        position = len(self.made.spans)
        attributes["thread.id"] = THREAD
        self.made.spans.append(Span(position, parent, service, kind, name, start, length, attributes))
        return position

    def _serve(self, parent: int, service: int, start: float, length: float, depth: int) -> None:
        chance = self.chance
        method, route = chance.choice(self.services[service].routes)
        attributes: dict[str, Any] = {
            "http.request.method": method,
            "url.scheme": "https",
            "url.path": route.replace("{id}", ITEM),
            "http.route": route,
            "server.address": f"{NAMES[service]}.example.com",
            "user_agent.original": chance.choice(_AGENTS) if depth == 0 else "python-httpx/0.28.1",
            "client.address": ADDRESS if depth == 0 else f"10.0.{service}.{chance.randrange(HOSTS)}",
            "network.protocol.version": "1.1",
            "http.response.status_code": 201 if method == "POST" else 200,
            "http.response.body.size": SIZE,
            "tenant.id": TENANT,
        }
        if depth == 0:
            attributes |= {"user.id": USER, "order.id": ORDER}
        at = self._add(parent, service, Kind.SERVER, f"{method} {attributes['http.route']}", start, length, attributes)
        self._work(at, service, start, length, depth)

    def _consume(self, parent: int, service: int, start: float, length: float, depth: int) -> None:
        queue = f"{NAMES[service]}-jobs"
        attributes = {
            "messaging.system": "aws_sqs",
            "messaging.destination.name": queue,
            "messaging.operation.type": "process",
            "messaging.message.id": REQUEST,
            "aws.sqs.queue.url": f"https://sqs.eu-central-1.amazonaws.com/123456789012/{queue}",
            "tenant.id": TENANT,
        }
        if depth == 0:
            attributes |= {"user.id": USER, "order.id": ORDER}
        at = self._add(parent, service, Kind.CONSUMER, f"process {queue}", start, length, attributes)
        self._work(at, service, start, length, depth)

    def _work(self, at: int, service: int, start: float, length: float, depth: int) -> None:
        """What a service does between `start` and `start + length`: calls, one after the other."""
        steps = 2 if depth else 8
        share = length * 0.75 / steps
        for step in range(steps):
            if len(self.made.spans) >= self.wanted:
                return
            self._call(at, service, start + length * 0.05 + share * step, share * 0.9, depth)

    def _call(self, at: int, service: int, start: float, length: float, depth: int) -> None:
        chance = self.chance
        kind = chance.choices(["http", "sql", "redis", "aws", "step", "queue"], [8, 6, 2, 3, 2, 1])[0]
        if kind == "aws":  # a third of the services have tables, a fifth have a bucket
            kind = "dynamodb" if service % 3 == 1 else "s3" if service % 5 == 2 else "sql"
        room = len(self.made.spans) + 2 <= self.wanted
        callees = self.services[service].callees
        if kind in ("http", "queue") and (not callees or not room or depth >= 4):
            kind = "sql"
        if kind == "http":
            callee = chance.choice(callees)
            host = f"{NAMES[callee]}.internal"
            attributes: dict[str, Any] = {
                "http.request.method": "GET",
                "url.full": f"http://{host}:8080/v1/{chance.choice(_NOUNS)}/{ITEM}",
                "server.address": host,
                "server.port": 8080,
                "network.protocol.version": "1.1",
                "http.response.status_code": 200,
            }
            client = self._add(at, service, Kind.CLIENT, "GET", start, length, attributes)
            self._serve(client, callee, start + length * 0.05, length * 0.9, depth + 1)
        elif kind == "queue":
            callee = chance.choice(callees)
            url = f"https://sqs.eu-central-1.amazonaws.com/123456789012/{NAMES[callee]}-jobs"
            client = self._aws(at, service, start, length, "SQS", "SendMessage", {"aws.sqs.queue.url": url})
            self._consume(client, callee, start + length * 2, length, depth + 1)
        elif kind == "dynamodb":
            table = [f"{NAMES[service]}-{chance.choice(_NOUNS[:2])}"]
            self._aws(
                at,
                service,
                start,
                length,
                "DynamoDB",
                chance.choice(["GetItem", "PutItem", "Query"]),
                {"aws.dynamodb.table_names": table},
            )
        elif kind == "s3":
            self._aws(at, service, start, length, "S3", "GetObject", {"aws.s3.bucket": f"{NAMES[service]}-files"})
        elif kind == "step":
            verb, noun = chance.choice(["load", "check", "render", "merge"]), chance.choice(_NOUNS[:3])
            attributes = {"code.function.name": f"{NAMES[service].replace('-', '_')}.{noun}.{verb}", "app.items": COUNT}
            self._add(at, service, Kind.INTERNAL, f"{verb} {noun}", start, length, attributes)
        else:
            self._database(at, service, start, length, kind)

    def _aws(
        self, at: int, service: int, start: float, length: float, name: str, method: str, more: dict[str, Any]
    ) -> int:
        attributes = {
            "rpc.system": "aws-api",
            "rpc.service": name,
            "rpc.method": method,
            "cloud.region": "eu-central-1",
            "aws.request_id": REQUEST,
            "http.response.status_code": 200,
            **more,
        }
        return self._add(at, service, Kind.CLIENT, f"{name}.{method}", start, length, attributes)

    def _database(self, at: int, service: int, start: float, length: float, kind: str) -> None:
        chance = self.chance
        if kind == "redis":
            command = chance.choice(["GET", "SET", "HGETALL"])
            attributes: dict[str, Any] = {
                "db.system.name": "redis",
                "db.operation.name": command,
                "db.namespace": "0",
                "server.address": f"cache-{service % 5}.internal",
                "server.port": 6379,
            }
            self._add(at, service, Kind.CLIENT, command, start, length, attributes)
            return
        verb, table, text = chance.choice(self.services[service].statements)
        attributes = {
            "db.system.name": "postgresql",
            "db.namespace": f"{NAMES[service // 4 * 4]}",
            "db.query.text": text,
            "db.operation.name": verb,
            "db.collection.name": table,
            "db.response.returned_rows": COUNT,
            "server.address": f"db-{service // 4}.internal",
            "server.port": 5432,
        }
        self._add(at, service, Kind.CLIENT, f"{verb} {table}", start, length, attributes)


def shapes(span: Span) -> Iterator[Shape]:
    """The four outcomes of a span, in the order of OK, ERROR, THROTTLE, FAULT. A fault of a span with nothing below it
    is its own and has an exception.
    """
    shared = Origin(
        *resource(span.service, 0, 0), {"scope.name": "fluoro.bench.instrumentation", "scope.version": "0.61b0"}
    )
    for outcome in range(4):
        attributes = dict(span.attributes)
        events: list[tuple[str, dict[str, Any]]] = []
        failed = outcome == FAULT
        if "http.response.status_code" in attributes and outcome != OK:
            status = {ERROR: 404, THROTTLE: 429, FAULT: 500}[outcome]
            attributes["http.response.status_code"] = status
            failed = failed or span.kind == Kind.CLIENT
            if failed:
                attributes["error.type"] = str(status)
        if outcome == FAULT and span.alone:
            attributes["error.type"] = "TimeoutError"
            events = [("exception", _exception(span))]
        raw = RawSpan(
            _TRACE_ID,
            MARK_ID.to_bytes(8, "big"),
            b"" if span.parent < 0 else b"\x01" * 8,
            span.name,
            span.kind + 1,
            1,
            2,
            dict(attributes),
            [(name, 1, dict(values)) for name, values in events],
            [],
            2 if failed else 0,
            "",
            0,
            "",
            {},
        )
        yield Shape(attributes, events, failed, to_segment(raw, shared))


def _exception(span: Span) -> dict[str, Any]:
    module = NAMES[span.service].replace("-", "_")
    frames = "".join(
        f'  File "/app/{module}/{part}.py", line {40 + 7 * index}, in {part}_{span.name.split()[0].lower()}\n'
        f"    return self.{part}(request, timeout=self.timeout)\n"
        for index, part in enumerate(("server", "views", "service", "client", "pool", "connection"))
    )
    message = "no answer within 2.0 s"
    return {
        "exception.type": "TimeoutError",
        "exception.message": message,
        "exception.stacktrace": f"Traceback (most recent call last):\n{frames}TimeoutError: {message}\n",
    }
