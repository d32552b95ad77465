"""`edge(…) {…}`, and `service(…) {…}` with an order of services, as subqueries over the observations of the service map.

The statement is built on `observations.sql`, in which each row carries, in place of its figures, one bit for each
comparison of the block that the row itself can answer. Bits and what only the place in the trace tells (root, inferred,
the order of services) are then put together as the block says. Planning it costs some 0.2 s of CPU.
"""

from __future__ import annotations

from fluoro_collector.query.graph.graph_minutes import observations
from fluoro_collector.query.sql import statement

from . import tree
from .block_rows import IN_RANGE, ORDER, STRUCTURAL, BlockRows, comparison_of, with_some_row
from .sql import Parameters, joined, number_condition, text_condition, wanted


def ordered_traces(service: tree.Service, parameters: Parameters) -> str:
    """Subquery: ids of the traces in which a request of the node (no client) satisfies the block."""
    node = service.node or tree.Identity()
    block = service.block
    if node.account is not None:
        account = tree.Comparison("account.id", "=", node.account)
        block = account if block is None else tree.And((account, block))
    asked = _Observed(parameters)
    condition = asked.condition(block)
    tests = ["r.relation = 0"]
    rows = ["(NOT subsegment OR namespace != '')"]
    if node.name is not None:
        name = parameters.add(node.name, "String")
        tests.append(f"r.target_name = {name}")
        rows.append(f"if(subsegment, peer_name, service) = {name}")
    if node.type is not None:
        kind = parameters.add(node.type, "String")
        tests.append(f"r.target_type = {kind}")
        rows.append(f"if(subsegment, peer_type, origin) = {kind}")
    rows.append(asked.rows.of_some_row(block))
    return _subquery(joined([*tests, condition], every=True), [joined(rows, every=True)], asked)


def edge_traces(edge: tree.Edge, parameters: Parameters) -> str:
    """Subquery: ids of the traces in which a call along the edge satisfies the block."""
    asked = _Observed(parameters)
    tests = ["r.relation != 0"]
    candidates = []
    for end, node in (("source", edge.source), ("target", edge.target)):
        rows = []
        if node.name is not None:
            name = parameters.add(node.name, "String")
            tests.append(f"r.{end}_name = {name}")
            rows.append(f"(service = {name} OR peer_name = {name})")
        if node.type is not None:
            kind = parameters.add(node.type, "String")
            tests.append(f"r.{end}_type = {kind}")
            if node.type != "client":
                rows.append(f"(origin = {kind} OR peer_type = {kind})")
        if rows:
            candidates.append(joined(rows, every=True))
    tests.append(asked.condition(edge.block))
    some_row = asked.rows.of_some_row(edge.block)
    if some_row != "1":
        candidates.append(f"((NOT subsegment OR namespace != '') AND {some_row})")
    return _subquery(joined(tests, every=True), candidates, asked)


class _Observed:
    """A block about an observation `r`: collects the comparisons that become bits."""

    def __init__(self, parameters: Parameters) -> None:
        self.rows = BlockRows(parameters)
        self._parameters = parameters
        self._bits: dict[tree.Comparison, int] = {}
        self.ordered = False

    @property
    def bits(self) -> str:
        bits = [f"bitShiftLeft(toUInt64({self.rows.condition(each)}), {place})" for each, place in self._bits.items()]
        return " + ".join(bits) or "toUInt64(0)"

    def condition(self, block: tree.Expression | None) -> str:
        if block is None:
            return "1"
        if isinstance(block, (tree.And, tree.Or)):
            return joined([self.condition(part) for part in block.parts], every=isinstance(block, tree.And))
        if isinstance(block, tree.Not):
            return f"(NOT {self.condition(block.part)})"
        comparison = comparison_of(block)
        if comparison.keyword in STRUCTURAL:
            return self._structural(comparison)
        self.rows.condition(comparison)
        return f"bitTest(r.bits, {self._bits.setdefault(comparison, len(self._bits))})"

    def _structural(self, comparison: tree.Comparison) -> str:
        keyword = comparison.keyword
        self.ordered = self.ordered or keyword in ORDER
        if keyword in ("name", "type"):
            return text_condition(f"r.target_{keyword}", comparison, self._parameters)
        if keyword == "index":
            return number_condition("1", "r.place", comparison, self._parameters)
        return f"({_FLAGS[keyword]})" if wanted(comparison) else f"(NOT ({_FLAGS[keyword]}))"


_FLAGS = {"root": "r.root", "inferred": "r.inferred", "first": "r.place = 0", "last": "r.place = r.last_place"}


def _subquery(condition: str, candidates: list[str], asked: _Observed) -> str:
    """`condition` is on observations; each of `candidates`, conditions on a row, is met by some row of a matching trace."""
    ordered = statement("places") if asked.ordered else "observed"
    return (
        # The start, a bit for each comparison, and nothing else that the map would count.
        observations(
            f"(toUnixTimestamp64Nano(start), 0, 0, {asked.bits}, '')", f"{IN_RANGE} {with_some_row(candidates)}"
        )
        + statement("observed").replace("ORDERED", ordered, 1)
        + f"WHERE {condition}"
    )
