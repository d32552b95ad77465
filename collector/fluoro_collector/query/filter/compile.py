"""Tree to a condition on the rows of `traces` (`query/search/trace_rows.py`). This and the modules it imports are the only place
that assembles conditions: from constants of their own and typed parameters, never from input.

What only the rows of a trace can tell becomes `trace_id IN (SELECT …)` over de-duplicated segments of candidates; a term
that an index answers finds them by it. Root causes are computed in Python: the condition takes their ids as parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import tree
from .block_rows import IN_RANGE
from .errors import FilterError
from .flags import flags_mask
from .graph_terms import GraphTerm
from .groups import Groups, expanded, no_groups
from .node_requests import can_answer, node_traces
from .observed_requests import edge_traces, ordered_traces
from .row_conditions import ANY_ROW, row_condition
from .sql import Parameters, joined, number_condition, number_test, text_condition, text_test, wanted

CauseTerm = tree.RootCause | tree.RootCausePath
MAX_CAUSES = 5  # each is asked of every trace that may match, in Python, and its ids travel with the statement


@dataclass(frozen=True)
class Compiled:
    """`params` belong to both conditions; besides, `{from:Int64}` and `{reach:Int64}` bound the rows of the traces (epoch
    ns) where `reads_segments`. `graph`: the columns nodes and edges are used.

    `rows`: conditions on a row, which an index answers; each is met by some row of every trace that matches.

    `live`: name of a parameter, Array(FixedString(16)), and a term about nodes and edges. Traces of `{minutes}` with these
    ids meet the term, whatever their columns say; the parameter is empty until someone fills it.

    `causes`: name of a parameter, Array(FixedString(16)), and the term whose matching ids it takes. `suspects` is met by
    all traces that could match whatever their root causes are; None without such terms.
    """

    condition: str
    params: dict[str, Any]
    graph: bool = False
    reads_segments: bool = False
    causes: dict[str, CauseTerm] = field(default_factory=dict)
    suspects: str | None = None
    rows: tuple[str, ...] = ()
    live: dict[str, GraphTerm] = field(default_factory=dict)


EVERY_TRACE = Compiled("1", {})


def compile_filter(expression: tree.Expression, groups: Groups = no_groups) -> Compiled:
    """Raises FilterError for a group that is unknown, wrong, or defined by itself."""
    expression = expanded(expression, groups)
    compiler = _Compiler()
    condition = compiler.condition(expression)
    suspects = None
    if compiler.causes:
        rest = _without_causes(expression)
        suspects = joined(
            [compiler.suspects(), *([] if rest is None else [compiler.condition(rest)])],
            every=True,
        )
    return Compiled(
        condition,
        {**compiler.parameters.values, **{name: [] for name in compiler.live}},
        compiler.graph,
        compiler.reads_segments,
        compiler.causes,
        suspects,
        compiler.rows(expression),
        compiler.live,
    )


class _Compiler:
    def __init__(self) -> None:
        self.parameters = Parameters()
        self.graph = False
        self.reads_segments = False
        self.causes: dict[str, CauseTerm] = {}
        self.live: dict[str, GraphTerm] = {}
        self._items: dict[int, str] = {}

    def condition(self, expression: tree.Expression) -> str:
        if isinstance(expression, (tree.And, tree.Or)):
            return joined([self.condition(part) for part in expression.parts], every=isinstance(expression, tree.And))
        if isinstance(expression, tree.Not):
            return f"(NOT {self.condition(expression.part)})"
        if isinstance(expression, tree.Comparison):
            return self._keyword(expression)
        if isinstance(expression, tree.Annotation):
            return self._annotation(expression)
        if isinstance(expression, tree.Service):
            return self._service(expression)
        if isinstance(expression, tree.Edge):
            return self._edge(expression)
        if isinstance(expression, (tree.RootCause, tree.RootCausePath)):
            known = [name for name, term in self.causes.items() if term == expression]
            name = known[0] if known else f"causes{len(self.causes)}"
            self.causes[name] = expression
            if len(self.causes) > MAX_CAUSES:
                raise FilterError(f"more than {MAX_CAUSES} different conditions on root causes", expression.position)
            return f"(trace_id IN {{{name}:Array(FixedString(16))}})"
        raise TypeError(f"{type(expression).__name__} is not expanded")

    def suspects(self) -> str:
        """Traces that can have root causes of the kinds asked for."""
        kinds = {term.kind if isinstance(term, tree.RootCause) else "" for term in self.causes.values()}
        if kinds <= {"fault", "error"}:
            columns = {"fault": ["any_fault"], "error": ["any_error", "any_throttle"]}
            return joined([column for kind in sorted(kinds) for column in columns[kind]], every=False)
        return "1"

    def rows(self, expression: tree.Expression) -> tuple[str, ...]:
        """`Compiled.rows`, after `condition`."""
        if isinstance(expression, tree.And):
            return tuple(row for part in expression.parts for row in self.rows(part))
        if isinstance(expression, tree.Or):
            parts = [self.rows(part) for part in expression.parts]
            return (joined([rows[0] for rows in parts], every=False),) if all(parts) else ()
        indexed = self._items.get(id(expression))
        return () if indexed is None else (indexed,)

    def _keyword(self, comparison: tree.Comparison) -> str:
        keyword = comparison.keyword
        if keyword in _FLAGS:
            return f"({_FLAGS[keyword]})" if wanted(comparison) else f"(NOT ({_FLAGS[keyword]}))"
        if keyword in _NUMBERS:
            return number_condition(*_NUMBERS[keyword], comparison, self.parameters)
        if keyword in ANY_ROW:
            return self._some_row(row_condition(comparison, self.parameters))
        if keyword == "user":
            if not comparison.operator:
                return "(notEmpty(users))"
            operand = self.parameters.add(comparison.value, "String")
            if comparison.operator == "=":
                return f"has(users, {operand})"  # which an index answers
            return f"(arrayExists(user -> {text_test('user', comparison.operator, operand)}, users))"
        return text_condition(_TEXTS[keyword], comparison, self.parameters)

    def _some_row(self, row: str, indexed: str = "1") -> str:
        """Some row of the trace meets `row`; `indexed` is a condition that it meets then, and that an index answers."""
        self.reads_segments = True
        found = row if indexed == "1" else f"{indexed} AND {row}"
        return (  # no input in it, only placeholders
            "(trace_id IN (SELECT trace_id FROM (SELECT * FROM segments"  # noqa: S608
            f" WHERE {IN_RANGE} AND (trace_id, id) IN (SELECT trace_id, id FROM segments WHERE {IN_RANGE} AND {found})"
            f" ORDER BY trace_id, id, in_progress, received DESC, duration DESC LIMIT 1 BY trace_id, id) WHERE {row}))"
        )

    def _annotation(self, annotation: tree.Annotation) -> str:
        """Any row of the trace. An equality is asked of `items` too, in the form that the bloom index answers."""
        key = self.parameters.add(annotation.key, "String")
        operator, value = annotation.operator, annotation.value
        if not operator:
            return self._some_row(f"(mapContains(annotations, {key}) OR mapContains(numbers, {key}))")
        if isinstance(value, bool):
            # "!= true" is "= false": a boolean has no third value.
            operator, value = "=", "true" if (operator == "=") == value else "false"
        if isinstance(value, str):
            operand = self.parameters.add(value, "String")
            row = f"(mapContains(annotations, {key}) AND {text_test(f'annotations[{key}]', operator, operand)})"
            item = f"concat({key}, '=', {operand})"
        else:
            operand = self.parameters.add(value, "Float64")
            row = f"(mapContains(numbers, {key}) AND {number_test(f'numbers[{key}]', operator, operand)})"
            item = f"concat({key}, '=', toString({operand}))"
        if operator != "=":
            return self._some_row(row)
        indexed = f"has(items, {item})"
        self._items[id(annotation)] = indexed
        return self._some_row(row, indexed)

    def _service(self, service: tree.Service) -> str:
        """A node of the service map. A block is asked of the requests that the map counts for it (of a client: on its edges)."""
        node = service.node or tree.Identity()
        mask = flags_mask(service.block)
        if mask is None or node.account is not None:
            self.reads_segments = True
            subquery = node_traces if can_answer(service) else ordered_traces
            return f"(trace_id IN ({subquery(service, self.parameters)}))"
        self.graph = True
        outcomes = _outcomes(mask, service.block)
        if node.type == "client":
            tests = [*self._identity("edge.source_name", "edge.source_type", node), *outcomes("edge")]
            return self._or_live(f"arrayExists(edge -> {joined(tests, every=True)}, edges)", service)
        tests = [*self._identity("node.name", "node.type", node), *outcomes("node")]
        found = f"arrayExists(node -> {joined(tests, every=True)}, nodes)"
        if service.block is not None:
            return self._or_live(found, service)
        # Nodes that have no requests of their own: a queue whose producer is elsewhere, a script that only calls.
        sources = self._identity("edge.source_name", "edge.source_type", node)
        return self._or_live(f"{found} OR arrayExists(edge -> {joined(sources, every=True)}, edges)", service)

    def _edge(self, edge: tree.Edge) -> str:
        """A call from one node to another, with the caller's figures. An account is asked of the node in the same trace."""
        accounts = [
            self._service(tree.Service(node)) for node in (edge.source, edge.target) if node.account is not None
        ]
        mask = flags_mask(edge.block)
        if mask is None:
            self.reads_segments = True
            found = f"(trace_id IN ({edge_traces(edge, self.parameters)}))"
        else:
            self.graph = True
            tests = [
                *self._identity("edge.source_name", "edge.source_type", edge.source),
                *self._identity("edge.target_name", "edge.target_type", edge.target),
                *_outcomes(mask, edge.block)("edge"),
            ]
            found = self._or_live(f"arrayExists(edge -> {joined(tests, every=True)}, edges)", edge)
        return joined([found, *accounts], every=True)

    def _or_live(self, found: str, term: GraphTerm) -> str:
        """`found` by the columns of the trace, or one of the traces whose nodes and edges the searcher has looked at itself."""
        name = f"live{len(self.live)}"
        self.live[name] = term
        return f"({found} OR (toUnixTimestamp(minute) IN {{minutes:Array(UInt32)}} AND trace_id IN {{{name}:Array(FixedString(16))}}))"

    def _identity(self, name: str, kind: str, node: tree.Identity) -> list[str]:
        tests = []
        if node.name is not None:
            tests.append(f"{name} = {self.parameters.add(node.name, 'String')}")
        if node.type is not None:
            tests.append(f"{kind} = {self.parameters.add(node.type, 'String')}")
        return tests


# Keyword → condition on the row of `traces`; the root's but for throttle and partial, which any row may have.
_FLAGS = {
    "ok": "NOT (error OR throttle OR fault)",
    "error": "error",
    "throttle": "any_throttle",
    "fault": "fault",
    "partial": "partial",
}
# Keyword → condition that there is a number, and the number.
_NUMBERS = {
    "responsetime": ("NOT root_in_progress", "response_time / 1e9"),
    "duration": ("1", "lasted / 1e9"),
    "http.status": ("http_status != 0", "http_status"),
}
_TEXTS = {
    "http.url": "http_url",
    "http.method": "http_method",
    "http.useragent": "http_user_agent",
    "http.clientip": "http_client_ip",
}


def _outcomes(mask: int, block: tree.Expression | None) -> Callable[[str], list[str]]:
    """The test that a request of the node or edge had one of these combinations of flags."""
    return lambda of: [] if block is None else [f"bitAnd({of}.outcomes, {mask}) != 0"]


def _without_causes(expression: tree.Expression, *, negated: bool = False) -> tree.Expression | None:
    """What the expression asks whatever the root causes are; None = nothing."""
    if isinstance(expression, (tree.And, tree.Or)):
        every = isinstance(expression, tree.And) != negated
        parts = [_without_causes(part, negated=negated) for part in expression.parts]
        asked = tuple(part for part in parts if part is not None)
        if not asked or (not every and len(asked) < len(parts)):
            return None
        return tree.And(asked) if every else tree.Or(asked)
    if isinstance(expression, tree.Not):
        return _without_causes(expression.part, negated=not negated)
    if isinstance(expression, (tree.RootCause, tree.RootCausePath)):
        return None
    return tree.Not(expression) if negated else expression
