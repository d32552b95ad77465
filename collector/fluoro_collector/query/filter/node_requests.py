"""`service(…) {…}` as a subquery over the rows of each trace, grouped: the requests that the service map counts for a node.

A segment is a request of its service. A call is one of the node that it points at, if no segment answers it or a consumer
took it. A client asks for every segment whose parent is not stored. (`observations.sql` says the same of the map.)
"""

from __future__ import annotations

from . import tree
from .block_rows import IN_RANGE, ORDER, STRUCTURAL, BlockRows, asks_for, comparison_of, with_some_row
from .sql import Parameters, joined, number_condition, text_condition, wanted

_SEGMENT = "NOT subsegment"
_CALL = "subsegment AND namespace != '' AND peer_name != ''"
_YOUNG = "toUnixTimestamp64Milli(received) > {settled:Int64}"  # its caller or callee may be on the way
_FROM_QUEUE = "kind = 4 AND peer_name != ''"


def can_answer(service: tree.Service) -> bool:
    """Not the order of services: the rows of one trace, taken together, do not tell it."""
    return (service.node or tree.Identity()).type == "client" or not asks_for(service.block, ORDER)


def node_traces(service: tree.Service, parameters: Parameters) -> str:
    """Subquery: ids of the traces in which a request of the node satisfies the block; or is of the node's account."""
    node = service.node or tree.Identity()
    block = service.block
    if node.account is not None:
        account = tree.Comparison("account.id", "=", node.account)
        block = account if block is None else tree.And((account, block))
    requests = _Requests(node, block, parameters)
    tests = requests.of_client() if node.type == "client" else [*requests.of_segments(), *requests.of_calls()]
    return (  # no input in it, only placeholders
        f"SELECT trace_id FROM (SELECT * FROM segments WHERE {IN_RANGE} {with_some_row([requests.some_row()])}"  # noqa: S608
        " ORDER BY trace_id, id, in_progress, received DESC, duration DESC LIMIT 1 BY trace_id, id)"
        f" GROUP BY trace_id HAVING {joined(tests, every=False)}"
    )


class _Requests:
    """Conditions on a trace, of which one holds where a request satisfies the block."""

    def __init__(self, node: tree.Identity, block: tree.Expression | None, parameters: Parameters) -> None:
        self._block = block
        self._rows = BlockRows(parameters)
        self._name = None if node.name is None else parameters.add(node.name, "String")
        client = node.type == "client"
        self._client = client
        self._type = None if node.type is None or client else parameters.add(node.type, "String")

    def some_row(self) -> str:
        """On a row: the one behind every matching request meets it."""
        tests = [_SEGMENT if self._client else f"({_SEGMENT} OR namespace != '')"]
        name, kind = "if(subsegment, peer_name, service)", "if(subsegment, peer_type, origin)"
        if self._name is not None:
            tests.append(f"{'service' if self._client else name} = {self._name}")
        if self._type is not None:
            tests.append(f"{kind} = {self._type}")
        asked = self._rows.of_some_row(self._block)
        return joined([*tests, *([] if asked == "1" else [asked])], every=True)

    def of_client(self) -> list[str]:
        facts = {"name": "service", "type": "'client'", "inferred": "0", "root": "0"}
        facts |= {"first": "1", "last": "0", "index": "0"}  # before all services
        asked = self._matching(_SEGMENT, facts)
        return [_lacks("groupArray(id)", f"parent_id, {asked} AND NOT ({_FROM_QUEUE}) AND NOT ({_YOUNG})")]

    def of_segments(self) -> list[str]:
        facts = {"name": "service", "type": "origin", "inferred": "0", "root": "0"}
        below = self._matching(_SEGMENT, facts)
        if not asks_for(self._block, frozenset({"root"})):
            return [f"countIf({below}) > 0"]
        root = self._matching(_SEGMENT, {**facts, "root": "1"})
        return [
            _lacks("groupArray(id)", f"parent_id, {root} AND NOT ({_FROM_QUEUE}) AND NOT ({_YOUNG})"),
            _has("groupArray(id)", f"parent_id, {below}"),
            f"countIf({below} AND ({_FROM_QUEUE} OR {_YOUNG})) > 0",
        ]

    def of_calls(self) -> list[str]:
        asked = self._matching(_CALL, {"name": "peer_name", "type": "peer_type", "inferred": "1", "root": "0"})
        return [
            _lacks("groupArrayIf(parent_id, NOT subsegment AND kind != 4)", f"id, {asked} AND NOT ({_YOUNG})"),
            _has("groupArrayIf(parent_id, NOT subsegment AND kind = 4)", f"id, {asked}"),
        ]

    def _matching(self, row: str, facts: dict[str, str]) -> str:
        """On a row: it is of the node and satisfies the block. `facts`: what the row's part in the trace says to keywords."""
        tests = [row, f"{facts['name']} != ''" if self._name is None else f"{facts['name']} = {self._name}"]
        if self._type is not None:
            tests.append(f"{facts['type']} = {self._type}")
        if self._block is not None:
            tests.append(self._satisfies(self._block, facts))
        return joined(tests, every=True)

    def _satisfies(self, block: tree.Expression, facts: dict[str, str]) -> str:
        if isinstance(block, (tree.And, tree.Or)):
            return joined([self._satisfies(part, facts) for part in block.parts], every=isinstance(block, tree.And))
        if isinstance(block, tree.Not):
            return f"(NOT {self._satisfies(block.part, facts)})"
        comparison = comparison_of(block)
        keyword = comparison.keyword
        if keyword not in STRUCTURAL:
            return self._rows.condition(comparison)
        fact = facts[keyword]
        if keyword in ("name", "type"):
            return text_condition(fact, comparison, self._rows.parameters)
        if keyword == "index":
            return number_condition("1", fact, comparison, self._rows.parameters)
        return fact if wanted(comparison) else f"(NOT {fact})"


# arrayIntersect looks things up; hasAll and hasAny compare every pair, which a trace of 100,000 rows makes expensive.
def _has(known: str, wanted_if: str) -> str:
    """Some of the values `wanted_if` (a value and its condition) is among `known`."""
    return f"notEmpty(arrayIntersect({known}, groupArrayIf({wanted_if})))"


def _lacks(known: str, wanted_if: str) -> str:
    """Some of the values `wanted_if` is not among `known`."""
    values = f"groupUniqArrayIf({wanted_if})"
    return f"length(arrayIntersect({known}, {values})) < length({values})"
