"""`rootcause.…` terms as predicates over the root causes of one trace (`query/trace/root_cause.py`).

`first`, `last` and `index` speak of the place in the list that the thing is in: a service on its path, an entity in its
service, an exception in its entity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import msgspec

from . import tree


class EntityLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def remote(self) -> bool: ...
    @property
    def coverage(self) -> float: ...
    @property
    def exceptions(self) -> tuple[tuple[str, str], ...]: ...


class ServiceLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def inferred(self) -> bool: ...
    @property
    def entities(self) -> tuple[EntityLike, ...]: ...


class CauseLike(Protocol):
    """A path, as `query.root_cause.Cause`."""

    @property
    def services(self) -> tuple[ServiceLike, ...]: ...


class _Place(NamedTuple):
    """One thing and where it stands: `at` of `among`."""

    thing: Any
    at: int
    among: int


Predicate = Callable[[_Place], bool]

_TEXT: dict[str, Callable[[str, str], bool]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "CONTAINS": lambda found, wanted: wanted in found,
    "BEGINSWITH": lambda found, wanted: found.startswith(wanted),
    "ENDSWITH": lambda found, wanted: found.endswith(wanted),
}
_NUMBER: dict[str, Callable[[float, float], bool]] = {
    "=": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    "<": lambda found, wanted: found < wanted,
    "<=": lambda found, wanted: found <= wanted,
    ">": lambda found, wanted: found > wanted,
    ">=": lambda found, wanted: found >= wanted,
}


def matches(term: tree.RootCause, causes: tuple[CauseLike, ...]) -> bool:
    """Whether one of these causes, of the term's kind, has a thing that the term's block speaks of."""
    holds = _predicate(term.block)
    return any(holds(place) for cause in causes for place in _things(term.subject, cause))


def _things(subject: str, cause: CauseLike) -> Iterator[_Place]:
    if subject == "service":
        yield from _places(cause.services)
        return
    for service in cause.services:
        if subject == "entity":
            yield from _places(service.entities)
        else:
            for entity in service.entities:
                yield from _places(entity.exceptions)


def _places(things: tuple[Any, ...]) -> Iterator[_Place]:
    for index, thing in enumerate(things):
        yield _Place(thing, index, len(things))


def _predicate(block: tree.Expression) -> Predicate:
    if isinstance(block, (tree.And, tree.Or)):
        parts = [_predicate(part) for part in block.parts]
        over = all if isinstance(block, tree.And) else any
        return lambda place: over(part(place) for part in parts)
    if isinstance(block, tree.Not):
        inner = _predicate(block.part)
        return lambda place: not inner(place)
    if isinstance(block, tree.Comparison):
        return _comparison(block)
    raise TypeError(f"{type(block).__name__} in a root cause")


def _comparison(comparison: tree.Comparison) -> Predicate:
    read = _VALUES[comparison.keyword]
    operator, wanted = comparison.operator, comparison.value
    if not operator:
        # A boolean is true; there is a text; a number is always there.
        return lambda place: isinstance(found := read(place), float) or bool(found)
    if isinstance(wanted, bool):
        return lambda place: (read(place) == wanted) == (operator == "=")
    if isinstance(wanted, str):
        test = _TEXT[operator]
        return lambda place: bool(found := read(place)) and test(found, wanted)
    number = float(wanted or 0)
    compare = _NUMBER[operator]
    return lambda place: compare(read(place), number)


def _name(place: _Place) -> str:
    """An exception is a pair: its type, which X-Ray calls its name, and its message."""
    thing = place.thing
    return str(thing[0]) if isinstance(thing, tuple) else str(thing.name)


_VALUES: dict[str, Callable[[_Place], Any]] = {
    "first": lambda place: place.at == 0,
    "last": lambda place: place.at == place.among - 1,
    "index": lambda place: float(place.at),
    "name": _name,
    "type": lambda place: place.thing.type,
    "account.id": lambda place: place.thing.account,
    "inferred": lambda place: bool(place.thing.inferred),
    "remote": lambda place: bool(place.thing.remote),
    "coverage": lambda place: float(place.thing.coverage),
    "message": lambda place: place.thing[1],
}


class PathError(ValueError):
    """What is wrong with the JSON of `rootcause.json`."""


class _ExceptionPattern(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    name: str | None = None
    message: str | None = None


class _EntityPattern(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    name: str | None = None
    remote: bool | None = None
    coverage: float | None = None
    exceptions: list[_ExceptionPattern] | None = None


class _ServicePattern(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    name: str | None = None
    names: list[str] | None = None
    type: str | None = None
    account_id: str | None = None
    inferred: bool | None = None
    entity_path: list[_EntityPattern] | None = None


class PathPattern(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    """A root cause as GetTraceSummaries shows it; a field that is left out matches anything."""

    services: list[_ServicePattern] | None = None
    client_impacting: bool | None = None


_decode = msgspec.json.Decoder(list[PathPattern]).decode


@lru_cache(16)  # asked again for each trace
def pattern(json: str) -> list[PathPattern]:
    """The paths of `rootcause.json`. Raises PathError."""
    try:
        return _decode(json)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PathError(f"this is not a list of root causes: {error}") from None


def matches_path(term: tree.RootCausePath, causes: tuple[CauseLike, ...]) -> bool:
    """Whether one of these causes has one of the term's paths: as many services and entities, with the values given."""
    return any(_cause(each, cause) for each in pattern(term.json) for cause in causes)


def _cause(wanted: PathPattern, cause: Any) -> bool:
    return _same(wanted.client_impacting, cause.client_impacting) and _each(_service, wanted.services, cause.services)


def _service(wanted: _ServicePattern, found: ServiceLike) -> bool:
    return (
        _same(wanted.name, found.name)
        and (wanted.names is None or found.name in wanted.names)
        and _same(wanted.type, found.type)
        and _same(wanted.account_id, found.account)
        and _same(wanted.inferred, found.inferred)
        and _each(_entity, wanted.entity_path, found.entities)
    )


def _entity(wanted: _EntityPattern, found: EntityLike) -> bool:
    return (
        _same(wanted.name, found.name)
        and _same(wanted.remote, found.remote)
        # As the summary shows it: three decimals.
        and (wanted.coverage is None or round(wanted.coverage, 3) == round(found.coverage, 3))
        and _each(_exception, wanted.exceptions, found.exceptions)
    )


def _exception(wanted: _ExceptionPattern, found: tuple[str, str]) -> bool:
    return _same(wanted.name, found[0]) and _same(wanted.message, found[1])


def _each(same: Callable[[Any, Any], bool], wanted: list[Any] | None, found: tuple[Any, ...]) -> bool:
    if wanted is None:
        return True
    return len(wanted) == len(found) and all(same(*pair) for pair in zip(wanted, found, strict=True))


def _same(wanted: Any, found: Any) -> bool:
    return wanted is None or bool(wanted == found)
