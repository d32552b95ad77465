"""Root causes: the path from a trace's root down to where a failure, or its time, comes from.

Pure functions over a trace's rows, and one reader for many traces at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from fluoro_collector.query.resource_places import resource_places
from fluoro_collector.query.sql import statement
from fluoro_collector.store.engine import Engine

FAULT, ERROR, RESPONSE_TIME = "fault", "error", "response_time"
KINDS = (FAULT, ERROR, RESPONSE_TIME)

MAX_CAUSES = 10  # of one kind in one trace
MAX_PATH = 200  # rows on one path; of a longer one the middle is left out
MAX_ROWS = 200_000  # read at one time; a single trace with more has no causes
_EXAMINED = 32  # failures of one trace whose paths are walked: what a hostile trace costs stays linear
_IDS = 2_000  # in one statement
_REACH = 3600 * 1_000_000_000  # how far after its start the rows of a trace are looked for, as search does


class Entity(msgspec.Struct, frozen=True, gc=False):
    """A segment or subsegment on the path. `coverage`, of a response time: the share of the root's that it took, 0 to 1.

    `remote`: it is a call. `exceptions` are (type, message), as recorded on it.
    """

    name: str
    remote: bool
    coverage: float
    exceptions: tuple[tuple[str, str], ...] = ()


class CauseService(msgspec.Struct, frozen=True, gc=False):
    """A service on the path with its entities, the outermost first. `inferred`: it sent no segment of its own."""

    name: str
    type: str
    account: str
    inferred: bool
    entities: tuple[Entity, ...]


class Cause(msgspec.Struct, frozen=True, gc=False):
    """One path, from the root's service to the culprit. `client_impacting`: the failure reached the root's response."""

    client_impacting: bool
    services: tuple[CauseService, ...]


class RootCauses(msgspec.Struct, frozen=True, gc=False):
    """Of one trace; at most MAX_CAUSES of a kind, those that reached the client first. Empty what was not asked for."""

    fault: tuple[Cause, ...] = ()
    error: tuple[Cause, ...] = ()
    response_time: tuple[Cause, ...] = ()


class CauseRow(NamedTuple):
    """Row of `root_cause.sql`. `until` is 0 while in progress; times in epoch ns. `answers`: a segment that a call waits
    for; `called`: a call. `error` includes throttles.
    """

    trace_id: bytes
    id: int
    parent_id: int
    start: int
    until: int
    subsegment: int
    answers: int
    called: int
    service: str
    name: str
    origin: str
    peer_name: str
    peer_type: str
    error: int
    fault: int
    resource_id: int
    exceptions: Sequence[tuple[str, str]]


def root_causes(
    engine: Engine, ids: Sequence[bytes], begin_ns: int, end_ns: int, kinds: Collection[str] = KINDS
) -> dict[bytes, RootCauses]:
    """Root causes of these traces, which began in [begin_ns, end_ns). One without stored rows is left out.

    Only `kinds` are computed. Memory is bounded by MAX_ROWS, whatever the traces hold.
    """
    found: dict[bytes, RootCauses] = {}
    window = {"from": begin_ns, "until": end_ns + _REACH}
    for chunk in _chunks(engine, ids, window, found):
        columns = engine.query(statement("root_cause"), {**window, "ids": chunk})
        places = resource_places(engine, columns["resource_id"])
        accounts = {id_: place.account for id_, place in places.items()}
        rows = map(CauseRow._make, zip(*columns.values(), strict=True))
        for trace_id, members in groupby(rows, attrgetter("trace_id")):
            found[trace_id] = root_causes_of(list(members), accounts, kinds)
    return found


def _chunks(
    engine: Engine, ids: Sequence[bytes], window: Mapping[str, int], found: dict[bytes, RootCauses]
) -> Iterator[list[bytes]]:
    """The ids in parts of at most _IDS traces and MAX_ROWS rows; what is larger alone is noted in `found`, without causes."""
    for begin in range(0, len(ids), _IDS):
        sizes = engine.query(
            statement("root_cause_sizes"), {**window, "ids": list(dict.fromkeys(ids[begin : begin + _IDS]))}
        )
        chunk: list[bytes] = []
        total = 0
        for trace_id, size in zip(sizes["trace_id"], sizes["stored"], strict=True):
            if size > MAX_ROWS:
                found[trace_id] = RootCauses()
                continue
            if total + size > MAX_ROWS:
                yield chunk
                chunk, total = [], 0
            chunk.append(trace_id)
            total += size
        if chunk:
            yield chunk


def root_causes_of(rows: Sequence[CauseRow], accounts: Mapping[int, str], kinds: Collection[str] = KINDS) -> RootCauses:
    """Root causes of one trace from its de-duplicated rows, at least one, in any order. `accounts` are by resource.

    A failure is a cause where nothing below it failed in the same way: what failed further up only passed it on. Time
    is followed from the root: into the child that took the most, as long as that is more than the work itself took. A
    call that no segment answers ends in the inferred service. Time is linear in the rows, whatever their shape.
    """
    tree = _Tree(rows, accounts)
    return RootCauses(
        fault=_failures(tree, [row for row in rows if row.fault]) if FAULT in kinds else (),
        error=_failures(tree, [row for row in rows if row.error]) if ERROR in kinds else (),
        response_time=_response_time(tree) if RESPONSE_TIME in kinds else (),
    )


class _Tree:
    """Rows by id, the root, and how a path of rows is shown."""

    def __init__(self, rows: Sequence[CauseRow], accounts: Mapping[int, str]) -> None:
        self.rows = rows
        self.accounts = accounts
        self.by_id = {row.id: row for row in rows}
        # The order of trace_basics.sql: no parent, a segment, the earliest.
        self.root = min(rows, key=lambda row: (row.parent_id != 0, row.subsegment, row.start, row.id))
        self.response_time = max(self.root.until - self.root.start, 0)
        self.answered = {row.parent_id for row in rows if row.answers}

    def path(self, row: CauseRow) -> list[CauseRow]:
        """From the topmost stored row above `row` down to it; a cycle ends where it closes."""
        path = [row]
        seen = {row.id}
        while (above := self.by_id.get(path[-1].parent_id)) is not None and above.id not in seen:
            seen.add(above.id)
            path.append(above)
        return path[::-1]

    def cause(self, path: Sequence[CauseRow], *, impacting: bool, timed: bool = False) -> Cause:
        """A path of rows as services. A row below belongs to another service when it is a segment or says so.

        `timed`: with coverage, which a failure does not have.
        """
        coverage = self._coverage if timed else _no_coverage
        last = path[-1]
        if len(path) > MAX_PATH:
            path = [*path[: MAX_PATH // 2], *path[-MAX_PATH // 2 :]]
        services: list[CauseService] = []
        entities: list[Entity] = []
        first = path[0]
        for row in path:
            if entities and (not row.subsegment or (row.service and first.service and row.service != first.service)):
                services.append(self._service(first, entities))
                entities = []
            if not entities:
                first = row
            entities.append(Entity(row.name, bool(row.called), coverage(row), tuple(row.exceptions)))
        services.append(self._service(first, entities))
        if last.called and last.peer_name and last.id not in self.answered:
            callee = Entity(last.peer_name, False, coverage(last))
            services.append(CauseService(last.peer_name, last.peer_type, "", True, (callee,)))
        return Cause(impacting, tuple(services))

    def _service(self, first: CauseRow, entities: list[Entity]) -> CauseService:
        account = self.accounts.get(first.resource_id, "")
        return CauseService(first.service, first.origin, account, False, tuple(entities))

    def _coverage(self, row: CauseRow) -> float:
        """Three decimals, as X-Ray gives it. Work that outlives the root counts as far as the root lasted."""
        if not self.response_time:
            return 0.0
        inside = min(row.until, self.root.until) - max(row.start, self.root.start)
        return round(max(inside, 0) / self.response_time, 3)


def _no_coverage(row: CauseRow) -> float:  # noqa: ARG001 - in place of _Tree._coverage
    return 0.0


def _failures(tree: _Tree, failing: Sequence[CauseRow]) -> tuple[Cause, ...]:
    if not failing:
        return ()
    ids = {row.id for row in failing}
    passed_on = {row.parent_id for row in failing if row.parent_id != row.id}
    # In a cycle every failure passes one on: the earliest stands for all.
    deepest = [row for row in failing if row.id not in passed_on] or [min(failing, key=_by_start)]
    # A loop of failing calls is one cause.
    distinct = {
        (row.parent_id, row.service, row.name, row.peer_name, tuple(row.exceptions)): row
        for row in sorted(deepest, key=_by_start, reverse=True)
    }
    order = sorted(distinct.values(), key=lambda row: (row.parent_id not in ids, row.start, row.id))
    causes: dict[Cause, None] = {}
    for row in order[:_EXAMINED]:
        path = tree.path(row)
        impacting = path[0] is tree.root and all(each.id in ids for each in path)
        causes[tree.cause(path, impacting=impacting)] = None
    return tuple(sorted(causes, key=lambda cause: not cause.client_impacting)[:MAX_CAUSES])


def _response_time(tree: _Tree) -> tuple[Cause, ...]:
    """One path, none while the root is in progress."""
    root = tree.root
    if not tree.response_time:
        return ()
    children: dict[int, list[CauseRow]] = {}
    for row in tree.rows:
        children.setdefault(row.parent_id, []).append(row)
    path = [root]
    seen = {root.id}
    low, high = root.start, root.until
    while True:
        inside = [
            (max(child.start, low), min(child.until, high), child)
            for child in children.get(path[-1].id, ())
            if child.id not in seen
        ]
        inside = sorted((begin, end, child) for begin, end, child in inside if end > begin)
        longest = max(inside, key=lambda part: part[1] - part[0], default=None)
        if longest is None or longest[1] - longest[0] <= (high - low) - _covered(inside):
            break
        low, high, row = longest
        seen.add(row.id)
        path.append(row)
    return (tree.cause(path, impacting=True, timed=True),)


def _covered(parts: Sequence[tuple[int, int, Any]]) -> int:
    """Length of the union of intervals sorted by their begin."""
    total = reached = 0
    for begin, end, _ in parts:
        if end > reached:
            total += end - max(begin, reached)
            reached = end
    return total


def _by_start(row: CauseRow) -> tuple[int, int]:
    return row.start, row.id
