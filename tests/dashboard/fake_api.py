"""A fake of the collector's query API, for looks and sizes only: canned, seeded data in the shapes the dashboard reads.

It stores nothing, parses no filter (`BAD` in one is an error, `NOTHING` finds nothing) and says in every answer's
`server` header that it is a fake. Scenarios are chosen by the path it is mounted under: `http://host:port/<scenario>`,
one of `shop`, `large`, `hostile`, `empty`, `old`, `young` (data in the last four minutes only); any other name is a `shop`
of its own.
"""

from __future__ import annotations

import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]
HOSTILE = '<img src=x onerror="window.pwned=1">**bold** [x](javascript:window.pwned=1) $\\x$ :red[r] `c` <script>window.pwned=1</script>'
SHOP_NODES = [
    # name, type, inferred, requests per second, p50 seconds, error, throttle, fault
    ("storefront", "client", True, 0, 0, 0, 0, 0),
    ("storefront", "AWS::ECS::Container", False, 84, 0.062, 0.021, 0, 0.004),
    ("catalog", "", False, 61, 0.011, 0.003, 0, 0),
    ("cart", "", False, 38, 0.0074, 0.002, 0, 0.0004),
    ("orders", "", False, 22, 0.048, 0.014, 0.006, 0.019),
    ("payments", "", False, 20, 0.131, 0.03, 0.0, 0.062),
    ("recommendations", "AWS::Lambda::Function", False, 31, 0.087, 0, 0.12, 0.002),
    ("mailer", "", False, 6.1, 0.39, 0, 0, 0.001),
    ("catalog-items", "AWS::DynamoDB::Table", True, 118, 0.0041, 0.0004, 0.017, 0),
    ("orders@db.shop.local", "Database::SQL", True, 66, 0.0028, 0, 0, 0.0002),
    ("session-cache", "Cache::Redis", True, 152, 0.00061, 0, 0, 0),
    ("https://sqs.eu-central-1.amazonaws.com/123456789012/order-mail", "AWS::SQS::Queue", True, 6.3, 0.0122, 0, 0, 0),
    ("product-images", "AWS::S3::Bucket", True, 12, 0.029, 0.051, 0, 0),
    ("api.cardgate.example", "remote", True, 20, 0.108, 0.031, 0, 0.058),
    ("order-events", "AWS::SNS::Topic", True, 9.5, 0.0094, 0, 0, 0),
]
SHOP_EDGES = [
    (0, 1, "sync"), (1, 2, "sync"), (1, 3, "sync"), (1, 4, "sync"), (1, 6, "sync"), (1, 10, "sync"), (2, 8, "sync"), (2, 12, "sync"), (6, 8, "sync"),
    (3, 10, "sync"), (4, 9, "sync"), (4, 5, "sync"), (4, 11, "sync"), (4, 14, "sync"), (5, 13, "sync"), (5, 9, "sync"), (11, 7, "link"), (4, 3, "sync"),
]  # fmt: skip


def _stats(
    rng: random.Random, seconds: float, rate: float, p50: float, error: float, throttle: float, fault: float
) -> Json:
    total = round(rate * seconds)
    counts = {"error": round(total * error), "throttle": round(total * throttle), "fault": round(total * fault)}
    ratio = 1.4
    histogram = []
    quantiles = {}
    if total:
        buckets = [p50 * ratio**step for step in range(-7, 12)]
        weights = [math.exp(-(step**2) / (7 if step < 0 else 18)) * rng.uniform(0.85, 1.15) for step in range(-7, 12)]
        scale = total / sum(weights)
        histogram = [
            [round(value, 6), round(weight * scale)]
            for value, weight in zip(buckets, weights, strict=True)
            if round(weight * scale)
        ]
        quantiles = {"p50": p50, "p95": p50 * rng.uniform(3, 5), "p99": p50 * rng.uniform(7, 11)}
    return {
        "ok": total - sum(counts.values()), **counts, "total": total, "total_time": total * p50 * 1.35,
        "p50": quantiles.get("p50"), "p95": quantiles.get("p95"), "p99": quantiles.get("p99"), "histogram": histogram,
    }  # fmt: skip


def shop(start: float, end: float, *, hostile: bool = False) -> Json:
    rng = random.Random(7)
    seconds = end - start
    nodes = []
    for name, type_, inferred, rate, p50, error, throttle, fault in SHOP_NODES:
        shown = f"{HOSTILE} {name}" if hostile else name
        nodes.append({"id": f"{shown}|{type_}", "name": shown, "type": type_, "inferred": inferred, "root": name == "storefront" and type_ != "client",
                      **_stats(rng, seconds, rate, p50, error, throttle, fault)})  # fmt: skip
    edges = []
    for source, target, kind in SHOP_EDGES:
        callee = SHOP_NODES[target]
        callers = sum(1 for edge in SHOP_EDGES if edge[1] == target)
        edges.append({"id": f"{nodes[source]['id']}->{nodes[target]['id']}", "source": nodes[source]["id"], "target": nodes[target]["id"], "kind": kind,
                      **_stats(rng, seconds, callee[3] / callers, callee[4] * 1.08 or 0.001, *callee[5:])})  # fmt: skip
    return {"start": start, "end": end, "since": start, "nodes": nodes, "edges": edges}


def large(start: float, end: float, size: int = 150, edge_count: int = 400) -> Json:
    rng = random.Random(11)
    words = [
        "cart",
        "order",
        "price",
        "stock",
        "ship",
        "fraud",
        "token",
        "login",
        "media",
        "search",
        "event",
        "report",
        "audit",
        "geo",
        "tax",
        "plan",
        "rule",
        "quote",
        "image",
        "chat",
    ]
    suffixes = [
        ("api", ""),
        ("svc", ""),
        ("worker", ""),
        ("db", "Database::SQL"),
        ("table", "AWS::DynamoDB::Table"),
        ("fn", "AWS::Lambda::Function"),
        ("queue", "AWS::SQS::Queue"),
    ]
    levels = [0] + [1] * 3 + [2] * 14 + [3] * 32 + [4] * 48 + [5] * (size - 98)
    nodes: list[Json] = []
    for index, level in enumerate(levels):
        suffix, type_ = ("client", "client") if index == 0 else rng.choice(suffixes[:3] if level < 3 else suffixes)
        name = f"{rng.choice(words)}-{suffix}-{index}"
        bad = rng.random()
        rates = (
            (0, 0, rng.uniform(0.02, 0.2))
            if bad < 0.07
            else (rng.uniform(0.01, 0.2), 0, 0)
            if bad < 0.15
            else (0, rng.uniform(0.02, 0.1), 0)
            if bad < 0.2
            else (0.001, 0, 0)
        )
        rate = 0 if index == 0 else 10 ** rng.uniform(-1, 2)
        nodes.append({"id": f"{name}|{type_}", "name": name, "type": type_, "inferred": "::" in type_ or type_ == "client", "root": level == 1,
                      **_stats(rng, end - start, rate, 10 ** rng.uniform(-3, -0.7), *rates)})  # fmt: skip
    pairs = {
        (rng.choice([i for i, at in enumerate(levels) if at == level - 1]), index)
        for index, level in enumerate(levels)
        if level
    }
    while len(pairs) < edge_count:
        source, target = rng.randrange(1, size), rng.randrange(1, size)
        if 0 < levels[target] - levels[source] < 3 or (rng.random() < 0.004 and source != target):
            pairs.add((source, target))
    edges = []
    for source, target in sorted(pairs):
        bad = rng.random()
        rates = (0, 0, 0.05) if bad < 0.05 else (0.05, 0, 0) if bad < 0.12 else (0, 0, 0)
        edges.append({"id": f"{nodes[source]['id']}->{nodes[target]['id']}", "source": nodes[source]["id"], "target": nodes[target]["id"], "kind": "sync",
                      **_stats(rng, end - start, 10 ** rng.uniform(-1, 1.5), 0.01, *rates)})  # fmt: skip
    return {"start": start, "end": end, "since": start, "nodes": nodes, "edges": edges}


def trace(size: int, *, hostile: bool = False, seed: int = 3) -> Json:
    """A depth-first trace of `size` segments with all outcomes, a deep branch and one segment in progress."""
    rng = random.Random(seed)
    services = ["storefront", "catalog", "cart", "orders", "payments", "recommendations", "mailer"]
    operations = [
        "GET /checkout",
        "GET /items/{id}",
        "POST /orders",
        "render template",
        "lock.acquire",
        "validate basket",
        "serialize",
    ]
    total = 1.2 if size < 100 else 8.0
    segments: list[Json] = []

    def add(parent: int, depth: int, start: float, duration: float, service: str, budget: int) -> None:
        index = len(segments)
        roll = rng.random()
        outcome = "fault" if roll < 0.05 else "throttle" if roll < 0.07 else "error" if roll < 0.1 else "ok"
        sort = "server" if depth == 0 or rng.random() < 0.3 else rng.choice(["internal", "sql", "dynamo", "http"])
        if budget > 1 and sort in ("sql", "dynamo"):
            sort = "server"
        segments.append(
            _segment(
                rng,
                index,
                parent,
                depth,
                start,
                duration,
                service,
                sort,
                "fault" if depth == 0 else outcome,
                operations,
                hostile=hostile,
            )
        )
        left = budget - 1
        children = min(left, rng.randint(2, 7) if size < 100 else rng.randint(3, 14))
        at = start + duration * 0.03
        for position in range(children):
            share = left // (children - position)
            if position < children - 1 and share > 1:
                share = max(1, min(left - (children - position - 1), round(share * rng.uniform(0.3, 1.7))))
            if len(segments) >= size:
                return
            room = start + duration * 0.985 - at
            length = room * rng.uniform(0.15, 0.9) / max(1, (children - position) * 0.6)
            add(index, depth + 1, at, length, rng.choice(services) if rng.random() < 0.5 else service, share)
            left -= share
            at += length * rng.choice([1.02, 1.02, 0.35])
            if left <= 0:
                break

    add(-1, 0, 0.0, total, "storefront", size)
    while len(segments) < size:
        segments.append(
            _segment(
                rng,
                len(segments),
                0,
                1,
                total * rng.uniform(0.1, 0.9),
                total * 0.01,
                "catalog",
                "internal",
                "ok",
                operations,
                hostile=hostile,
            )
        )
    segments[-1]["in_progress"] = True
    now = time.time() - 42
    return {"id": trace_id(size), "start": now, "duration": total, "partial": True, "segments": segments}


def trace_id(size: int) -> str:
    return f"1-5f84c7a1-{size:024x}"


def _segment(
    rng: random.Random,
    index: int,
    parent: int,
    depth: int,
    start: float,
    duration: float,
    service: str,
    sort: str,
    outcome: str,
    operations: list[str],
    *,
    hostile: bool,
) -> Json:
    status = {"ok": 200, "error": 404, "throttle": 429, "fault": 502}[outcome]
    name, operation, namespace, peer, http, aws, sql = service, rng.choice(operations[:3]), "", None, None, None, None
    if sort == "server":
        http = {
            "request": {
                "method": "GET",
                "url": f"http://{service}.shop.local/checkout?step=2",
                "user_agent": "Mozilla/5.0",
                "client_ip": "203.0.113.9",
            },
            "response": {"status": status, "content_length": 5321},
        }
    elif sort == "sql":
        name, operation, namespace = "orders@db.shop.local", "SELECT orders", "remote"
        sql = {
            "database_type": "postgresql",
            "url": "db.shop.local:5432/orders",
            "user": "shop",
            "query": "SELECT o.id, o.total, c.email\nFROM orders o JOIN customers c ON c.id = o.customer_id\nWHERE o.id = ? AND o.state IN (?, ?)\nORDER BY o.created DESC LIMIT ?",
        }
        peer = {"name": name, "type": "Database::SQL"}
    elif sort == "dynamo":
        name, operation, namespace = "DynamoDB", "GetItem", "aws"
        aws = {
            "operation": "GetItem",
            "region": "eu-central-1",
            "table_name": "catalog-items",
            "request_id": "9F3KQ0EXAMPLE",
            "retries": 1,
        }
        peer = {"name": "catalog-items", "type": "AWS::DynamoDB::Table"}
    elif sort == "http":
        name, operation, namespace = "api.cardgate.example", "POST", "remote"
        http = {
            "request": {"method": "POST", "url": "https://api.cardgate.example/v1/charges"},
            "response": {"status": status},
        }
        peer = {"name": name, "type": "remote"}
    else:
        name, operation = rng.choice(operations[3:]), ""
    cause = None
    if outcome == "fault":
        cause = {"working_directory": "/srv/app", "exceptions": [{"id": "ab12cd34ef56ab78", "type": "PaymentDeclined", "message": f"card gateway answered {status} after 3 attempts", "remote": False,
                 "stack": [{"path": f"/srv/app/{service}/gateway.py", "line": 88 - step * 7, "label": label} for step, label in enumerate(["charge", "retrying", "checkout", "handle"])]}]}  # fmt: skip
    if hostile:
        name, operation, service = f"{HOSTILE}{name}", f"{HOSTILE}{operation}", f"{HOSTILE}{service}"
    return {
        "id": f"{index + 1:016x}", "parent": parent, "depth": depth, "service": service, "name": name, "operation": operation, "kind": "SERVER" if sort == "server" else "CLIENT" if namespace else "INTERNAL",
        "namespace": namespace, "type": "segment" if sort == "server" else "subsegment", "origin": "AWS::ECS::Container" if service == "storefront" and sort == "server" else "",
        "start": start, "duration": duration, "in_progress": False, "outcome": outcome, "http": http, "aws": aws, "sql": sql, "cause": cause,
        "annotations": {"order_id": "A-1009", "items": 3, "premium": True} if index % 3 == 0 else {}, "metadata": {"default": {"basket": [{"sku": "B-17", "quantity": 2}], "note": HOSTILE if hostile else "gift"}} if index % 4 == 0 else {},
        "links": [], "events": [], "user": "u-4711" if sort == "server" else "", "peer": peer,
        "resource": {"service_name": service, "service_version": "2.14.0", "environment": "production", "host": "ip-10-0-3-17", "runtime": "CPython 3.11.7"},
    }  # fmt: skip


def traces(end: float, count: int, *, hostile: bool = False) -> list[Json]:
    rng = random.Random(5)
    found = []
    for index in range(count):
        roll = rng.random()
        outcome = "fault" if roll < 0.06 else "throttle" if roll < 0.09 else "error" if roll < 0.16 else "ok"
        method, operation = rng.choice(
            [("GET", "GET /items/{id}"), ("GET", "GET /cart"), ("POST", "POST /orders"), ("GET", "GET /checkout")]
        )
        duration = math.exp(rng.gauss(-2.2, 1.1))
        service = HOSTILE if hostile else rng.choice(["storefront", "storefront", "orders", "catalog"])
        size = 5000 if index == 1 else 40
        found.append({
            "id": trace_id(size) if index < 2 else f"1-5f84c7a1-{0xabc000 + index:024x}", "start": end - 4 - index * 1.7, "duration": duration, "response_time": duration * 0.98, "service": service,
            "operation": HOSTILE if hostile else operation, "method": method, "url": f"https://shop.example{operation.split()[1]}", "status": {"ok": 200, "error": 404, "throttle": 429, "fault": 502}[outcome],
            "outcome": outcome, "ok": outcome == "ok", "error": outcome == "error", "throttle": outcome == "throttle", "fault": outcome == "fault", "segments": size,
            "services": [service], "partial": rng.random() < 0.02, "user": "",
        })  # fmt: skip
    return found


_asked: Counter[str] = Counter()


def requests(path: str) -> int:
    """How often `/api/<path>` was asked so far, in all scenarios."""
    return _asked[path]


class _Handler(BaseHTTPRequestHandler):
    server_version = "fluoro-fake-api"
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _, scenario, _, *rest = url.path.split("/", 3)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        _asked[rest[0] if rest else ""] += 1
        status, body = answer(scenario, rest[0] if rest else "", query)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def answer(scenario: str, path: str, query: dict[str, str]) -> tuple[int, Json]:
    start, end = float(query.get("start", 0)), float(query.get("end", 1))
    hostile = scenario == "hostile"
    if path == "status":
        newest = {"empty": None, "old": time.time() - 30 * 86400}.get(scenario, time.time())
        return 200, {
            "version": "fake",
            "store": "fake",
            "newest": newest,
            "segments": 0 if scenario == "empty" else 12345,
            "doors": {},
            "rejections": {},
        }
    if path == "service-graph":
        if scenario == "empty" or (scenario == "old" and end > time.time() - 86400):
            return 200, {"start": start, "end": end, "since": None, "nodes": [], "edges": []}
        if scenario == "young":
            since = max(start, math.floor(end / 60) * 60 - 240)
            return 200, {**shop(since, end), "start": start, "since": since}
        return 200, large(start, end) if scenario == "large" else shop(start, end, hostile=hostile)
    if path == "time-series":
        rng = random.Random(2)
        period = int(query["period"])
        points = []
        for index in range(int((end - start) // period)):
            total = round(period * (20 + 8 * math.sin(index / 6) + rng.uniform(-2, 2)))
            fault, error, throttle = (
                round(total * (0.25 if 20 < index < 26 else 0.01)),
                round(total * 0.02),
                round(total * 0.01),
            )
            p50 = 0.04 * rng.uniform(0.9, 1.1)
            points.append(
                {
                    "time": start + index * period,
                    "ok": total - fault - error - throttle,
                    "error": error,
                    "throttle": throttle,
                    "fault": fault,
                    "total": total,
                    "p50": p50,
                    "p95": p50 * (9 if 20 < index < 26 else 4),
                    "p99": p50 * 10,
                }
            )
        return 200, {"period": period, "points": points}
    if path == "traces":
        text = query.get("filter", "")
        if "BAD" in text:
            at = text.index("BAD")
            return 400, {
                "error": {
                    "code": "filter",
                    "message": f"unknown keyword 'BAD' at {at}: expected one of ok, error, fault, duration, service()",
                    "position": at,
                }
            }
        if "NOTHING" in text or scenario in ("empty", "old"):
            return 200, {"traces": [], "cursor": None, "count": 0}
        offset, limit = int(query.get("cursor", 0)), int(query["limit"])
        found = traces(end, 640, hostile=hostile)
        page = found[offset : offset + limit]
        return 200, {
            "traces": page,
            "cursor": str(offset + limit) if offset + limit < len(found) else None,
            "count": len(found),
        }
    if path.startswith("traces/"):
        wanted = unquote(path.removeprefix("traces/"))
        size = int(wanted.rsplit("-", 1)[-1], 16) if wanted.startswith("1-5f84c7a1-") else 0
        if size not in (40, 5000):
            return 404, {"error": {"code": "not_found", "message": f"no trace {wanted}"}}
        return 200, trace(size, hostile=hostile)
    return 404, {"error": {"code": "not_found", "message": path}}


@contextmanager
def running(port: int = 0) -> Iterator[str]:
    """Serve until the block ends; yields the base URL without a scenario."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    with running(4999) as base:
        print(f"fake API: {base}/shop")  # noqa: T201
        threading.Event().wait()
