"""What a filter expression means, the slow, obvious way: over the rows of one trace. The SQL must give the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from brute_graph import Expected, Node
from fluoro.model import Http, Kind, Resource, Segment
from fluoro_collector.decode.peer import peer
from fluoro_collector.query.filter import tree

Row = tuple[Resource, Segment]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "<": lambda found, wanted: found < wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">": lambda found, wanted: found > wanted,
    ">=": lambda found, wanted: found >= wanted,
    "CONTAINS": lambda found, wanted: wanted in found,
    "BEGINSWITH": lambda found, wanted: found.startswith(wanted),
    "ENDSWITH": lambda found, wanted: found.endswith(wanted),
}
_FROM_RESOURCE = {
    "account.id": "cloud.account.id",
    "availabilityzone": "cloud.availability_zone",
    "instance.id": "host.id",
    "resource.arn": "cloud.resource_id",
}


class InterpretedTrace(Expected):
    """One trace: its de-duplicated rows, its requests (node, inferred, segment) and calls (source, target, segment)."""

    def __init__(self, rows: list[Row]) -> None:
        self.requests: list[tuple[Node, bool, Segment]] = []
        self.calls: list[tuple[Node, Node, Segment]] = []
        latest: dict[int, Row] = {}
        for row in rows:
            if row[1].id not in latest or latest[row[1].id][1].in_progress:
                latest[row[1].id] = row
        self.by_id = latest
        self.rows = list(latest.values())
        super().__init__(rows)
        self.root = min(
            (segment for _, segment in self.rows), key=lambda s: (s.parent_id != 0, s.subsegment, s.start // 2, s.id)
        )
        starts: dict[Node, int] = {}
        for node, _, segment in self.requests:
            starts[node] = min(segment.start, starts.get(node, segment.start))
        self.order = sorted(starts, key=lambda node: starts[node])

    def _node(self, node: Node, segment: Segment, *, inferred: bool) -> None:
        super()._node(node, segment, inferred=inferred)
        self.requests.append((node, inferred, segment))

    def _edge(self, owner: Node | None, target: Node, kind: str, segment: Segment) -> None:
        super()._edge(owner, target, kind, segment)
        if owner is not None:
            self.calls.append((owner, target, segment))

    def holds(self, expression: tree.Expression) -> bool:
        if isinstance(expression, tree.And):
            return all(self.holds(part) for part in expression.parts)
        if isinstance(expression, tree.Or):
            return any(self.holds(part) for part in expression.parts)
        if isinstance(expression, tree.Not):
            return not self.holds(expression.part)
        if isinstance(expression, tree.Comparison):
            return self._keyword(expression)
        if isinstance(expression, tree.Annotation):
            return any(_annotated(segment, expression) for _, segment in self.rows)
        if isinstance(expression, tree.Service):
            return self._service(expression)
        assert isinstance(expression, tree.Edge)
        return self._along(expression)

    def _keyword(self, comparison: tree.Comparison) -> bool:
        keyword = comparison.keyword
        segments = [segment for _, segment in self.rows]
        if keyword == "throttle":
            return _is(comparison, [any(each.throttle for each in segments)])
        if keyword == "partial":
            return _is(comparison, [any(each.in_progress for each in segments)])
        if keyword == "duration":
            last = max(max(each.start, each.end) for each in segments)
            return _is(comparison, [(last - min(each.start for each in segments)) / 1e9])
        if keyword == "user":
            return _is(comparison, [each.user for each in segments])
        if keyword in _FROM_RESOURCE:
            return any(_is(comparison, self._values(keyword, each)) for each in segments)
        return _is(comparison, self._values(keyword, self.root))

    def _values(self, keyword: str, segment: Segment) -> Iterable[Any]:
        """The values of a row, one of which must be as asked; "" and None are no values."""
        http = segment.http or Http()
        if keyword in _FROM_RESOURCE:
            own = {"account.id": (segment.aws or {}).get("account_id"), "resource.arn": segment.resource_arn}
            called = segment.subsegment and segment.namespace
            resource = {} if called else self.by_id[segment.id][0].attributes
            return [own.get(keyword), resource.get(_FROM_RESOURCE[keyword])]
        finished = None if segment.in_progress else max(segment.end - segment.start, 0) / 1e9
        return [
            {
                "ok": not (segment.error or segment.throttle or segment.fault),
                "error": segment.error,
                "throttle": segment.throttle,
                "fault": segment.fault,
                "partial": segment.in_progress,
                "remote": bool(segment.namespace),
                "responsetime": finished,
                "duration": finished,
                "http.status": http.status or None,
                "http.url": http.url,
                "http.method": http.method,
                "http.useragent": http.user_agent,
                "http.clientip": http.client_ip,
                "user": segment.user,
            }[keyword]
        ]

    def _service(self, service: tree.Service) -> bool:
        identity = service.node or tree.Identity()
        if identity.type == "client":
            return any(
                _named(source, identity)
                and self._account(identity, segment)
                and self._block(service.block, segment, source, inferred=False)
                for source, _, segment in self.calls
                if source[1] == "client"
            )
        if any(
            _named(node, identity)
            and self._account(identity, segment)
            and self._block(service.block, segment, node, inferred=inferred)
            for node, inferred, segment in self.requests
        ):
            return True
        plain = service.block is None and identity.account is None
        return plain and any(_named(source, identity) for source, _, _ in self.calls)

    def _along(self, edge: tree.Edge) -> bool:
        for end in (edge.source, edge.target):
            if end.account is not None and not self._service(tree.Service(end)):
                return False
        return any(
            _named(source, edge.source)
            and _named(target, edge.target)
            and self._block(edge.block, segment, target, inferred=False)
            for source, target, segment in self.calls
        )

    def _account(self, identity: tree.Identity, segment: Segment) -> bool:
        return identity.account is None or identity.account in self._values("account.id", segment)

    def _block(self, block: tree.Expression | None, segment: Segment, node: Node, *, inferred: bool) -> bool:
        if block is None:
            return True
        if isinstance(block, (tree.And, tree.Or)):
            over = all if isinstance(block, tree.And) else any
            return over(self._block(part, segment, node, inferred=inferred) for part in block.parts)
        if isinstance(block, tree.Not):
            return not self._block(block.part, segment, node, inferred=inferred)
        assert isinstance(block, tree.Comparison)
        keyword = block.keyword
        client = node[1] == "client"
        if keyword in ("first", "last", "index"):
            place = 0 if client else self.order.index(node)
            found = {"first": place == 0, "last": not client and place == len(self.order) - 1, "index": float(place)}
            return _is(block, [found[keyword]])
        if keyword in ("name", "type"):
            return _is(block, [node[keyword == "type"]])
        if keyword == "inferred":
            return _is(block, [inferred])
        if keyword == "root":
            waits = segment.kind == Kind.CONSUMER and peer(segment)[0]
            entry = not segment.subsegment and segment.parent_id not in self.by_id and not waits
            return _is(block, [entry and not inferred and not client])
        return _is(block, self._values(keyword, segment))


def _named(node: Node, identity: tree.Identity) -> bool:
    return identity.name in (None, node[0]) and identity.type in (None, node[1])


def _is(comparison: tree.Comparison, values: Iterable[Any]) -> bool:
    """Whether one of the values is as asked."""
    known = [each for each in values if each is not None and each != ""]
    if not comparison.operator:
        return any(each is not False for each in known)
    return any(_COMPARE[comparison.operator](each, comparison.value) for each in known)


def _annotated(segment: Segment, asked: tree.Annotation) -> bool:
    value = (segment.annotations or {}).get(asked.key)
    if value is None:
        return False
    if not asked.operator:
        return True
    if isinstance(value, bool):
        value = "true" if value else "false"  # as the text of it, which may be asked for too
    wanted, operator = asked.value, asked.operator
    if isinstance(wanted, bool):
        wanted, operator = ("true" if wanted == (operator == "=") else "false"), "="
    return isinstance(value, str) == isinstance(wanted, str) and _COMPARE[operator](value, wanted)
