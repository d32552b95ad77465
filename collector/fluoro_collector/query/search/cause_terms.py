"""Which traces meet the root-cause terms of a filter: decided in Python, the search takes their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fluoro_collector.query.filter import tree
from fluoro_collector.query.filter.compile import CauseTerm
from fluoro_collector.query.filter.root_cause import matches, matches_path
from fluoro_collector.query.trace import root_cause
from fluoro_collector.store.engine import Engine

_KINDS = {"fault": root_cause.FAULT, "error": root_cause.ERROR, "responsetime": root_cause.RESPONSE_TIME}


def matching_ids(
    engine: Engine, terms: Mapping[str, CauseTerm], suspects: Sequence[bytes], begin: int, until: int
) -> dict[str, list[bytes]]:
    """For each of `Compiled.causes` the ids among `suspects`, traces that began in [begin, until) (epoch ns), that meet it."""
    kinds = {kind for term in terms.values() for kind in _kinds(term)}
    found = root_cause.root_causes(engine, suspects, begin, until, kinds)
    return {
        name: [trace_id for trace_id, causes in found.items() if _has(term, causes)] for name, term in terms.items()
    }


def _kinds(term: CauseTerm) -> tuple[str, ...]:
    if isinstance(term, tree.RootCausePath):
        return root_cause.KINDS
    return (_KINDS[term.kind],)


def _has(term: CauseTerm, causes: root_cause.RootCauses) -> bool:
    if isinstance(term, tree.RootCausePath):
        return any(matches_path(term, getattr(causes, kind)) for kind in root_cause.KINDS)
    return matches(term, getattr(causes, _KINDS[term.kind]))
