"""Tree to SQL. The only module that assembles SQL: from constants of its own and typed parameters, never from input.

The condition is for `HAVING` over the de-duplicated rows of one trace (`traces.py`): what it says about the root it asks
of the row that is first by `ROOT_ORDER`, everything else of any row. The prefilter is a condition on one row that some
row of every matching trace meets: it finds the traces to look at without reading the others, by index where there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import tree
from .errors import FilterError, NotSupportedError

# The root is the smallest: no parent before some parent, segment before subsegment, then the earliest (2 ns are one).
ROOT_ORDER = (
    "bitShiftLeft(toUInt64(parent_id != 0), 63) + bitShiftLeft(toUInt64(subsegment), 62)"
    " + intDiv(toUInt64(toUnixTimestamp64Nano(start)), 2)"
)
_END = "toUnixTimestamp64Nano(start) + toInt64(duration)"
_CALL = "subsegment AND namespace != ''"

# How few rows a prefilter is likely to leave; the greatest of an AND is used.
BY_INDEX, BY_SERVICE, BY_SCAN = 3, 2, 1


class Prefilter(NamedTuple):
    condition: str
    strength: int


@dataclass(frozen=True)
class Compiled:
    """`params` belong to both conditions. `prefilter` is None when any trace could match."""

    condition: str
    prefilter: str | None
    params: dict[str, Any]


@dataclass
class _Parameters:
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any, kind: str) -> str:
        name = f"filter{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"


# Keyword → column, and the condition that there is a value.
_STRING_COLUMNS = {
    "http.url": "http_url",
    "http.method": "http_method",
    "http.useragent": "http_user_agent",
    "http.clientip": "http_client_ip",
    "user": "user",
}
_FLAGS = {
    "ok": "NOT (error OR throttle OR fault)",
    "error": "error",
    "throttle": "throttle",
    "fault": "fault",
    "partial": "in_progress",
}
_ROW_FLAGS = {**_FLAGS, "remote": "namespace != ''", "root": "parent_id = 0"}
# A trace has these if any of its rows has; the other flags are those of the root.
_ANY_ROW = frozenset({"throttle", "partial", "user"})


def compile_filter(expression: tree.Expression) -> Compiled:
    """Raises NotSupportedError for what parses but cannot be answered, FilterError for what makes no sense."""
    parameters = _Parameters()
    condition, prefilter = _trace(expression, parameters)
    return Compiled(condition, prefilter.condition if prefilter else None, parameters.values)


def _trace(expression: tree.Expression, parameters: _Parameters) -> tuple[str, Prefilter | None]:
    """Condition on a trace, and its prefilter."""
    if isinstance(expression, (tree.And, tree.Or)):
        parts = [_trace(part, parameters) for part in expression.parts]
        word = " AND " if isinstance(expression, tree.And) else " OR "
        condition = f"({word.join(part for part, _ in parts)})"
        found = [prefilter for _, prefilter in parts if prefilter]
        if isinstance(expression, tree.And):
            return condition, max(found, key=lambda each: each.strength, default=None)
        if len(found) < len(parts):
            return condition, None
        return condition, Prefilter(
            f"({' OR '.join(each.condition for each in found)})", min(e.strength for e in found)
        )
    if isinstance(expression, tree.Not):
        return f"NOT {_trace(expression.part, parameters)[0]}", None
    if isinstance(expression, tree.Comparison):
        return _keyword(expression, parameters)
    if isinstance(expression, tree.Annotation):
        return _annotation(expression, parameters)
    if isinstance(expression, tree.Service):
        return _service(expression, parameters)
    raise NotSupportedError(_NAMES[type(expression)], getattr(expression, "position", 0))


_NAMES: dict[type, str] = {
    tree.Edge: "edge()",
    tree.Group: "group.name",
    tree.RootCause: "rootcause",
    tree.RootCausePath: "rootcause.json",
}


def _keyword(comparison: tree.Comparison, parameters: _Parameters) -> tuple[str, Prefilter | None]:
    keyword = comparison.keyword
    if keyword == "duration":
        value = f"(max({_END}) - min(toUnixTimestamp64Nano(start))) / 1e9"
        return f"({value} {_number(comparison, parameters)})", None
    if keyword in _ROW_FLAGS and keyword not in _FLAGS:
        raise FilterError(f"{keyword!r} means something only inside service() {{…}}", comparison.position)
    row, selective = _row_keyword(comparison, parameters)
    over = f"countIf({row}) > 0" if keyword in _ANY_ROW else f"argMin({row}, {ROOT_ORDER})"
    if keyword == "partial" and _wanted(comparison) is False:
        return "(countIf(in_progress) = 0)", None
    if keyword == "throttle" and _wanted(comparison) is False:
        return "(countIf(throttle) = 0)", None
    return f"({over})", Prefilter(row, BY_SCAN) if selective else None


def _wanted(comparison: tree.Comparison) -> bool:
    """What a boolean keyword is asked to be."""
    if not comparison.operator:
        return True
    return (comparison.operator == "=") == bool(comparison.value)


def _row_keyword(comparison: tree.Comparison, parameters: _Parameters) -> tuple[str, bool]:
    """Condition on one row, and whether it is likely to leave few rows."""
    keyword, operator = comparison.keyword, comparison.operator
    if keyword in _ROW_FLAGS:
        wanted = _wanted(comparison)
        flag = _ROW_FLAGS[keyword]
        return (flag if wanted else f"NOT ({flag})"), wanted and keyword != "ok"
    if keyword in ("responsetime", "duration"):
        # What has not finished has no duration yet.
        return (
            f"NOT in_progress AND duration / 1e9 {_number(comparison, parameters)}",
            operator in (">", ">=", "="),
        )
    if keyword == "http.status":
        test = f" AND http_status {_number(comparison, parameters)}" if operator else ""
        return f"http_status != 0{test}", operator in ("=", ">", ">=")
    column = _STRING_COLUMNS.get(keyword)
    if column is None:
        raise NotSupportedError(f"the keyword {keyword}", comparison.position)
    if not operator:
        return f"{column} != ''", False
    return f"{column} != '' AND {_text(column, operator, comparison.value, parameters)}", operator != "!="


def _number(comparison: tree.Comparison, parameters: _Parameters) -> str:
    """Operator and operand; without an operator: there is a value, which 0 and more is."""
    if not comparison.operator:
        return ">= 0"
    return f"{_NUMBER_SQL[comparison.operator]} {parameters.add(comparison.value, 'Float64')}"


_NUMBER_SQL = {operator: operator for operator in tree.NUMBER_OPERATORS}
_TEXT_SQL: dict[str, Callable[[str, str], str]] = {
    "=": lambda column, value: f"{column} = {value}",
    "!=": lambda column, value: f"{column} != {value}",
    "CONTAINS": lambda column, value: f"position({column}, {value}) > 0",
    "BEGINSWITH": lambda column, value: f"startsWith({column}, {value})",
    "ENDSWITH": lambda column, value: f"endsWith({column}, {value})",
}


def _text(column: str, operator: str, value: Any, parameters: _Parameters) -> str:
    return _TEXT_SQL[operator](column, parameters.add(value, "String"))


def _annotation(annotation: tree.Annotation, parameters: _Parameters) -> tuple[str, Prefilter]:
    """Any row of the trace. An equality is asked of `items` too, in the form that the bloom index answers."""
    key = parameters.add(annotation.key, "String")
    operator, value = annotation.operator, annotation.value
    if not operator:
        row = f"mapContains(annotations, {key}) OR mapContains(numbers, {key})"
        return f"(countIf({row}) > 0)", Prefilter(f"({row})", BY_SCAN)
    if isinstance(value, bool):
        # "!= true" is "= false": a boolean has no third value.
        text = "true" if (operator == "=") == value else "false"
        operator, value = "=", text
    if isinstance(value, str):
        column, there = f"annotations[{key}]", f"mapContains(annotations, {key})"
        operand = parameters.add(value, "String")
        test = _TEXT_SQL[operator](column, operand)
        item = f"concat({key}, '=', {operand})"
    else:
        column, there = f"numbers[{key}]", f"mapContains(numbers, {key})"
        operand = parameters.add(value, "Float64")
        test = f"{column} {_NUMBER_SQL[operator]} {operand}"
        item = f"concat({key}, '=', toString({operand}))"
    row = f"{there} AND {test}"
    if operator == "=":
        return f"(countIf({row}) > 0)", Prefilter(f"(has(items, {item}) AND {row})", BY_INDEX)
    return f"(countIf({row}) > 0)", Prefilter(f"({row})", BY_SCAN)


def _service(service: tree.Service, parameters: _Parameters) -> tuple[str, Prefilter | None]:
    """A node of the service map: a segment's own, or the peer of a call that no segment answers (or a consumer took), or
    the client of a segment. A block is asked of the requests that the map counts for it (of a client: on its edges).
    """
    node = service.node or tree.Identity()
    if node.account is not None:
        raise NotSupportedError("account.id", service.position)
    name = None if node.name is None else parameters.add(node.name, "String")
    block = "" if service.block is None else f" AND {_block(service.block, parameters)}"

    if node.type == "client":
        # A client sent what no stored segment sent, and no queue handed over.
        service_is = "" if name is None else f" AND service = {name}"
        own = f"subsegment = 0{service_is} AND NOT (kind = 4 AND peer_name != ''){block}"
        by_name = None if name is None else Prefilter(f"({own})", BY_SERVICE)
        return f"(NOT hasAll(groupArray(id), groupArrayIf(parent_id, {own})))", by_name
    kind = None if node.type is None else parameters.add(node.type, "String")

    def matches(name_column: str, type_column: str) -> str:
        tests = [] if name is None else [f"{name_column} = {name}"]
        tests += [] if kind is None else [f"{type_column} = {kind}"]
        return " AND ".join(tests) or "1"

    own = f"subsegment = 0 AND {matches('service', 'origin')}{block}"
    peer = f"{_CALL} AND peer_name != '' AND {matches('peer_name', 'peer_type')}{block}"
    tests = [
        f"countIf({own}) > 0",
        f"NOT hasAll(groupArrayIf(parent_id, subsegment = 0 AND kind != 4), groupArrayIf(id, {peer}))",
        f"hasAny(groupArrayIf(parent_id, subsegment = 0 AND kind = 4), groupArrayIf(id, {peer}))",
    ]
    rows = [own, peer]
    if service.block is None:
        # Nodes that have no requests of their own: a queue whose producer is elsewhere, a script that only calls.
        rows.append(f"subsegment = 0 AND kind = 4 AND peer_name != '' AND {matches('peer_name', 'peer_type')}")
        tests.append(f"countIf({rows[-1]}) > 0")
        if node.type in (None, ""):
            rows.append("subsegment AND service != ''" if name is None else f"subsegment AND service = {name}")
            tests.append(_caller(rows[-1], name, node.type))
    selective = name is not None or kind is not None or service.block is not None
    prefilter = " OR ".join(f"({row})" for row in rows)
    return f"({' OR '.join(tests)})", Prefilter(
        f"({prefilter})", BY_SERVICE if name else BY_SCAN
    ) if selective else None


def _caller(row: str, name: str | None, kind: str | None) -> str:
    """Condition on a trace: some of its edges begins at a row that meets `row` and belongs to no segment of its service.

    It begins at a call, or at work that is the parent of a segment. Such a row belongs to the nearest segment above it, if
    that has its service; otherwise it stands for a node of its own (graph_minutes.sql does the same).
    """
    if kind is not None:
        row += " AND origin = ''"
    begins = (
        f"arrayConcat(groupArrayIf(id, {row} AND namespace != '' AND peer_name != ''), arrayIntersect(groupArrayIf(id,"
        f" {row}), groupArrayIf(parent_id, subsegment = 0 AND NOT (kind = 4 AND peer_name != ''))))"
    )
    if kind is None:
        return f"notEmpty({begins})"  # one that does belong to a segment has a node of the same name
    if name is None:
        return f"(countIf(subsegment = 0) = 0 AND notEmpty({begins}))"
    return f"NOT hasAll({_OWNED.replace('NAME', name)}, {begins})"


# Ids below the segments of the service NAME, no other segment between. Pointer jumping as in graph_minutes.sql: those
# segments point at _HOME, which points at itself, and other segments at nothing.
_HOME = "toUInt64(18446744073709551615)"
_OWNED = (
    "arrayMap(pointer -> pointer.1, arrayFilter(pointer -> pointer.2 = {home}, arrayFold((pointers, step) -> arrayMap("
    "ordered -> arrayFilter(pointer -> pointer.1 != 0, arrayMap((entry, last) -> (if(entry.2 = 1, entry.3, 0),"
    " if(last.1 = entry.1, last.4, 0)), ordered, arrayFill(entry -> entry.2 = 0, ordered))), [arraySort(arrayConcat("
    "arrayMap(pointer -> (pointer.1, 0, pointer.1, pointer.2), pointers), arrayMap(pointer -> (pointer.2, 1, pointer.1,"
    " toUInt64(0)), pointers)))])[1], range(toUInt8(ceil(log2(2 + countIf(subsegment))))), arrayConcat([({home}, {home})],"
    " groupArray((id, multiIf(subsegment, parent_id, service = NAME, {home}, toUInt64(0))))))))"
).replace("{home}", _HOME)


def _block(expression: tree.Expression, parameters: _Parameters) -> str:
    """Condition on one row: the request that the node answered."""
    if isinstance(expression, (tree.And, tree.Or)):
        word = " AND " if isinstance(expression, tree.And) else " OR "
        return f"({word.join(_block(part, parameters) for part in expression.parts)})"
    if isinstance(expression, tree.Not):
        return f"NOT {_block(expression.part, parameters)}"
    if isinstance(expression, tree.Comparison):
        return f"({_row_keyword(expression, parameters)[0]})"
    if isinstance(expression, tree.Annotation):
        raise FilterError("annotations cannot be asked inside service() {…}", expression.position)
    raise NotSupportedError(
        f"{_NAMES.get(type(expression), 'service()')} inside a block", getattr(expression, "position", 0)
    )
