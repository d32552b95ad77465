"""What a block asks of the row behind a request or call, and which traces may have such a row."""

from __future__ import annotations

from . import tree
from .row_conditions import row_condition
from .sql import Parameters, joined

ORDER = frozenset({"first", "last", "index"})
# Not asked of a row but of its place in the trace, or of the node.
STRUCTURAL = frozenset({"root", "inferred", "name", "type"}) | ORDER

# Rows of the traces that began in the slice.
IN_RANGE = "start >= fromUnixTimestamp64Nano({from:Int64}) AND start < fromUnixTimestamp64Nano({reach:Int64})"


class BlockRows:
    """Comparisons of one block as conditions on a row, each with its parameters added once."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.conditions: dict[tree.Comparison, str] = {}

    def condition(self, comparison: tree.Comparison) -> str:
        if comparison not in self.conditions:
            self.conditions[comparison] = row_condition(comparison, self.parameters)
        return self.conditions[comparison]

    def of_some_row(self, block: tree.Expression | None, *, negated: bool = False) -> str:
        """A condition that the row behind every matching request meets; what a row cannot tell counts as met."""
        if block is None:
            return "1"
        if isinstance(block, (tree.And, tree.Or)):
            every = isinstance(block, tree.And) != negated
            parts = [self.of_some_row(part, negated=negated) for part in block.parts]
            if every:
                return joined([part for part in parts if part != "1"], every=True)
            return "1" if "1" in parts else joined(parts, every=False)
        if isinstance(block, tree.Not):
            return self.of_some_row(block.part, negated=not negated)
        comparison = comparison_of(block)
        if comparison.keyword in STRUCTURAL:
            return "1"
        row = self.condition(comparison)
        return f"(NOT {row})" if negated else row


def comparison_of(block: tree.Expression) -> tree.Comparison:
    """The leaf of a block: the parser lets nothing else stand in one."""
    if not isinstance(block, tree.Comparison):
        raise TypeError(f"{type(block).__name__} in a block")
    return block


def asks_for(block: tree.Expression | None, keywords: frozenset[str]) -> bool:
    """Whether one of these keywords is in the block."""
    if isinstance(block, (tree.And, tree.Or)):
        return any(asks_for(part, keywords) for part in block.parts)
    if isinstance(block, tree.Not):
        return asks_for(block.part, keywords)
    return isinstance(block, tree.Comparison) and block.keyword in keywords


def with_some_row(rows: list[str]) -> str:
    """For each of these conditions some row of the trace meets it."""
    return " ".join(
        f"AND trace_id IN (SELECT trace_id FROM segments WHERE {IN_RANGE} AND {row})"  # noqa: S608 - no input in it
        for row in rows
    )
