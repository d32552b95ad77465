"""Terms about nodes and edges, asked of those of one trace in Python, as `compile` asks them of the columns of `traces`.

The nodes and edges of traces that are not rolled up come from a statement that costs 0.2 s of CPU to plan. It is run once
for all terms and pages of a state; this decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from . import tree
from .flags import flags_mask

GraphTerm = tree.Service | tree.Edge  # without an account; the block asks for flags alone


class Observed(NamedTuple):
    """`nodes`: (name, type, outcomes), `edges`: (source name, source type, target name, target type, outcomes)."""

    trace_id: bytes
    nodes: list[tuple[str, str, int]]
    edges: list[tuple[str, str, str, str, int]]


def meets(term: GraphTerm, observed: Iterable[Observed]) -> list[bytes]:
    """Ids of the traces that meet the term."""
    mask = flags_mask(term.block)
    if mask is None:
        raise TypeError("the block asks for more than flags")
    if isinstance(term, tree.Edge):
        return [trace.trace_id for trace in observed if _edge(term, mask, trace)]
    return [trace.trace_id for trace in observed if _service(term, mask, trace)]


def _edge(term: tree.Edge, mask: int, trace: Observed) -> bool:
    return any(
        _is(term.source, source, source_type)
        and _is(term.target, target, target_type)
        and (term.block is None or outcomes & mask)
        for source, source_type, target, target_type, outcomes in trace.edges
    )


def _service(term: tree.Service, mask: int, trace: Observed) -> bool:
    node = term.node or tree.Identity()
    any_outcome = term.block is None
    # A client has no requests of its own; without a block this goes for every node.
    if (node.type == "client" or any_outcome) and any(
        _is(node, name, kind) and (any_outcome or outcomes & mask) for name, kind, _, _, outcomes in trace.edges
    ):
        return True
    return node.type != "client" and any(
        _is(node, name, kind) and (any_outcome or outcomes & mask) for name, kind, outcomes in trace.nodes
    )


def _is(node: tree.Identity, name: str, kind: str) -> bool:
    return node.name in (None, name) and node.type in (None, kind)
