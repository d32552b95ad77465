"""The examples that X-Ray's users know, over traces made by hand: which ones each of them finds."""

from __future__ import annotations

import pytest

from fluoro.model import Cause, ExceptionRecord, Http, Kind, Resource, Segment, Sql
from fluoro_collector.query.search.search import count, search
from fluoro_collector.rollup import Rollup
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

START, END = float(BASE), float(BASE + 600)
GROUPS = {"slow": "responsetime > 5"}
Row = tuple[Resource, Segment]


class Made:
    """One trace: `entry` adds a segment of a service, `call` a subsegment; both give the id. Times in seconds."""

    def __init__(self, number: int) -> None:
        self.trace_id = (BASE + number).to_bytes(4, "big") + number.to_bytes(12, "big")
        self.start = (BASE + number) * SECOND
        self.rows: list[Row] = []

    def entry(self, service: str, lasts: float, parent: int = 0, account: str = "", **fields: object) -> int:
        attributes = {"cloud.account.id": account} if account else {}
        resource = Resource(service_name=service, attributes=attributes)
        return self._add(resource, service, lasts, parent, {"kind": Kind.SERVER, **fields})

    def call(self, parent: int, name: str, lasts: float, namespace: str = "remote", **fields: object) -> int:
        kind = Kind.CLIENT if namespace else Kind.INTERNAL
        resource = next(resource for resource, each in self.rows if each.id == parent)
        return self._add(
            resource, name, lasts, parent, {"kind": kind, "subsegment": True, "namespace": namespace, **fields}
        )

    def _add(self, resource: Resource, name: str, lasts: float, parent: int, fields: dict[str, object]) -> int:
        id_ = len(self.rows) + 1
        start = self.start + id_ * 1_000_000
        end = 0 if fields.get("in_progress") else start + round(lasts * SECOND)
        self.rows.append((resource, Segment(self.trace_id, id_, parent, name, start, end, **fields)))  # type: ignore[arg-type]
        return id_


def failed(kind: str, message: str) -> Cause:
    return Cause([ExceptionRecord("1" * 16, kind, message)])


def slow_cart() -> Made:
    made = Made(1)
    web = made.entry("web", 6, user="bob", http=Http("GET", "http://h/v1/cart/7", 200, user_agent="curl/8"))
    made.entry("checkout", 5.5, made.call(web, "checkout", 5.6))
    return made


def checkout_failed() -> Made:
    made = Made(2)
    web = made.entry("web", 2.5, fault=True, http=Http("POST", "http://h/pay", 500, user_agent="curl/8"))
    checkout = made.entry("checkout", 2, made.call(web, "checkout", 2.1, fault=True), fault=True)
    made.call(checkout, "decode", 1, "", fault=True, cause=failed("ValueError", "quota hit"))
    return made


def table_throttled() -> Made:
    made = Made(3)
    web = made.entry("web", 0.5, error=True, throttle=True, http=Http("GET", "http://other/y", 429))
    made.call(web, "DynamoDB", 0.2, "aws", aws={"table_name": "orders"}, error=True, throttle=True)
    return made


def function_with_error() -> Made:
    made = Made(4)
    made.entry("fn", 0.1, account="123456789012", origin="AWS::Lambda::Function", error=True)
    return made


def slow_remote() -> Made:
    made = Made(5)
    annotations = {"orderid": "A-1009", "items": 30, "http.route": "/x"}
    web = made.entry(
        "web", 1.5, origin="AWS::ECS::Container", annotations=annotations, http=Http("GET", "http://h/", 200)
    )
    made.call(web, "example.org", 1.2)
    return made


def unfinished() -> Made:
    made = Made(6)
    made.entry("web", 0, in_progress=True, annotations={"items": 3})
    return made


def table_failed() -> Made:
    made = Made(7)
    web = made.entry("web", 0.3, fault=True)
    made.call(web, "DynamoDB", 0.2, "aws", aws={"table_name": "orders"}, fault=True)
    return made


def deep_failure() -> Made:
    made = Made(8)
    parent = 0
    for depth in range(7):
        entry = made.entry(f"s{depth}", 2 - depth / 10, parent, fault=True)
        if depth < 6:
            parent = made.call(entry, f"s{depth + 1}", 2 - depth / 10 - 0.05, fault=True)
    return made


def database_error() -> Made:
    made = Made(9)
    web = made.entry("web", 0.3)
    made.call(web, "db", 0.1, sql=Sql("PostgreSQL"), error=True)
    return made


def outlived() -> Made:
    made = Made(10)
    web = made.entry("web", 0.1)
    made.call(web, "later", 6.5, "")
    return made


def time_in_orders() -> Made:
    made = Made(11)
    web = made.entry("web", 1)
    made.call(web, "orders", 0.9)
    return made


def fault_and_slow() -> Made:
    made = Made(12)
    made.entry("x", 5.5, fault=True, http=Http("GET", "http://h/xyz", 503))
    return made


MADE = (
    slow_cart,
    checkout_failed,
    table_throttled,
    function_with_error,
    slow_remote,
    unfinished,
    table_failed,
    deep_failure,
    database_error,
    outlived,
    time_in_orders,
    fault_and_slow,
)
ALL = list(range(1, 13))
NOT_OK = [2, 3, 4, 7, 8, 12]

EXAMPLES: list[tuple[str, list[int]]] = [
    ("responsetime > 5", [1, 12]),
    ("duration >= 5 AND duration <= 8", [1, 10, 12]),
    ("ok", [1, 5, 6, 9, 10, 11]),
    ("!ok", NOT_OK),
    ("ok = false", NOT_OK),
    ("http.status != 200", [2, 3, 12]),
    ("ok !partial duration <3", [5, 9, 11]),
    ('http.url CONTAINS "/v1/cart/"', [1]),
    ('http.url BEGINSWITH "http://h/" AND !service("checkout")', [5, 12]),
    ("http.url AND responseTime > 2", [1, 2, 12]),
    ('user CONTAINS ""', [1]),
    ('http.method = "POST" AND http.useragent CONTAINS "curl"', [2]),
    ('service("checkout")', [1, 2]),
    ('service("checkout") { fault }', [2]),
    ("service() { fault }", [2, 7, 8, 12]),
    ('service("x") { fault = true OR responsetime >= 5 }', [12]),
    ('service(id(type: "AWS::DynamoDB::Table")) { throttle }', [3]),
    ('service(id(name: "fn", type: "AWS::Lambda::Function")) { error }', [4]),
    ('service(id(account.id: "123456789012"))', [4]),
    ('service("x") { root = true and fault = true }', [12]),
    ('edge("web", "db") { error }', [9]),
    ('edge(id(name:"web",type:"AWS::ECS::Container"), id(type:"remote")) { responsetime > 1 }', [5]),
    ('annotation.orderid = "A-1009"', [5]),
    ("annotation.items > 29", [5]),
    ("annotation.items", [5, 6]),
    ("!annotation.items", [each for each in ALL if each not in (5, 6)]),
    ('annotation[http.route] = "/x"', [5]),
    ('group.name = "slow" AND user = "bob"', [1]),
    ('rootcause.fault.service { inferred and name="orders" and type="AWS::DynamoDB" }', []),
    ('rootcause.fault.service { inferred and name="orders" and type="AWS::DynamoDB::Table" }', [7]),
    ('rootcause.fault.entity { last and name = "decode" }', [2]),
    ('rootcause.fault.exception { last and message = "quota hit" }', [2]),
    ("rootcause.fault.service { index > 5 }", [8]),
    ('rootcause.responsetime.entity { remote and coverage > 0.7 and name = "orders" }', [11]),
    ('rootcause.json = #[{"Services":[{"Name":"a","EntityPath":[{"Name":"b"}]}]}]', []),
    ('rootcause.json = #[{"Services":[{"Name":"x","EntityPath":[{"Name":"x"}]}]}]', [12]),
    ('fault = true AND http.url CONTAINS "x" AND responsetime >= 5', [12]),
    # Terms together.
    ('!rootcause.fault.entity { name = "decode" } AND fault', [7, 8, 12]),
    ('rootcause.fault.entity { name = "decode" } OR user = "bob"', [1, 2]),
    ('!group.name = "slow" AND !ok', [2, 3, 4, 7, 8]),
    ('rootcause.error.service { name = "orders" } OR rootcause.fault.service { name = "orders" }', [3, 7]),
]


@pytest.fixture(scope="module")
def made(opened: Store) -> tuple[Store, Rollup]:
    rows = [row for make in MADE for row in make().rows]
    opened.insert([(resource, [segment]) for resource, segment in rows])
    rollup = Rollup(opened.engine)
    rollup.run_once()
    return opened, rollup


@pytest.mark.parametrize(("text", "expected"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_an_example_finds(made: tuple[Store, Rollup], text: str, expected: list[int]) -> None:
    store, rollup = made
    found, following = search(store.engine, rollup.dirty, START, END, text, 100, groups=group)
    assert following is None
    assert [int.from_bytes(position.trace_id[4:], "big") for position in found] == expected[::-1]


def group(of: str, value: str) -> str | None:
    return GROUPS.get(value) if of == "name" else None


def test_a_count_is_the_number_of_what_is_found(made: tuple[Store, Rollup]) -> None:
    store, rollup = made
    for text, expected in (EXAMPLES[0], EXAMPLES[12], EXAMPLES[22], EXAMPLES[29]):
        assert count(store.engine, rollup.dirty, START, END, text, groups=group) == len(expected)


def test_the_newest_match_is_found_first(made: tuple[Store, Rollup]) -> None:
    """A page that is full ends the search, also one that computes root causes."""
    store, rollup = made
    for text, expected in (("fault", [12, 8, 7, 2]), ("rootcause.fault.service { first }", [12, 8, 7, 2])):
        listed: list[int] = []
        cursor = None
        while True:
            found, cursor = search(store.engine, rollup.dirty, START, END, text, 1, cursor)
            listed += [int.from_bytes(position.trace_id[4:], "big") for position in found]
            if cursor is None:
                break
        assert listed == expected
