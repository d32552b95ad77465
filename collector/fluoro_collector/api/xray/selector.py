"""EntitySelectorExpression: which node or edge a time series is of."""

from __future__ import annotations

from typing import NamedTuple

from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.filter.tree import Edge, Identity, Service
from fluoro_collector.query.graph.time_series import EdgeSelector, NodeSelector

from .request import invalid

_BARE = "id("  # X-Ray also takes an id by itself


class Selected(NamedTuple):
    """Neither: the requests of all clients."""

    node: NodeSelector | None = None
    edge: EdgeSelector | None = None

    @property
    def is_edge(self) -> bool:
        """Whether the figures are those of calls. A client has no others."""
        return self.node is None or self.node[1] == "client"


def selected(expression: str | None) -> Selected:
    """`service(…)`, `edge(…, …)` or `id(…)`, without a block. A node of which only the name is given may have any type."""
    if expression is None:
        return Selected()
    bare = expression.lstrip()[: len(_BARE)].lower() == _BARE
    try:
        parsed = parse(f"service({expression})" if bare else expression)
    except FilterError as error:
        # An id's own text begins after what was put around it.
        text = str(error).partition(" (at position")[0] if bare else error
        raise invalid(f"EntitySelectorExpression: {text}") from None
    if isinstance(parsed, Service) and parsed.block is None and parsed.node is not None:
        name, kind = _key(parsed.node)
        if name:
            return Selected(node=(name, kind))
    elif isinstance(parsed, Edge) and parsed.block is None:
        return Selected(edge=(_key(parsed.source), _key(parsed.target), ""))
    raise invalid(
        'EntitySelectorExpression must name a node or an edge, as in service("a"), id(name: "a", type: "b"), edge("a", "b")'
    )


def _key(node: Identity) -> NodeSelector:
    if node.account is not None:
        raise invalid("EntitySelectorExpression: nodes are not told apart by account.id")
    return node.name or "", node.type
