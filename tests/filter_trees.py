"""Trees of the filter language for property tests: whatever the parser may build."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from fluoro_collector.query.filter import grammar, tree
from fluoro_collector.query.filter.grammar import Scope

TEXT = st.text(max_size=12) | st.text('\\"ab ]}', max_size=6)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
NAMES = TEXT.filter(bool)
PLAIN_KEYS = st.text(string.ascii_letters + string.digits + "_.", min_size=1, max_size=10)
NODES = st.builds(tree.Identity, st.none() | TEXT, st.none() | TEXT, st.none() | TEXT)
# Words of texts that are nearly expressions.
WORDS = [
    *grammar.KEYWORDS,
    *grammar.COMPLEX,
    *("!", "(", ")", "{", "}", "AND", "or", "=", "<=", '"x"', "5", "id", ",", "annotation", "[k]", "annotation.k"),
    *("CONTAINS", ":", "#[]", "#[{]", "true", '"', "#", "annotation[", 'edge("a", "b") {', "rootcause.fault.entity {"),
]
_VALUES = {
    bool: (grammar.BOOLEAN_OPERATORS, st.booleans()),
    float: (grammar.NUMBER_OPERATORS, NUMBER),
    str: (grammar.STRING_OPERATORS, TEXT),
}


def comparisons(scope: Scope) -> st.SearchStrategy[tree.Comparison]:
    kinds = []
    for keyword in grammar.keywords_of(scope):
        operators, values = _VALUES[keyword.kind]
        kinds.append(st.builds(tree.Comparison, st.just(keyword.name)))
        kinds.append(st.builds(tree.Comparison, st.just(keyword.name), st.sampled_from(operators), values))
    return st.one_of(kinds)


def combined(inner: st.SearchStrategy[tree.Expression]) -> st.SearchStrategy[tree.Expression]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(tree.And, several), st.builds(tree.Or, several), st.builds(tree.Not, inner))


def blocks(scope: Scope, leaves: int = 4) -> st.SearchStrategy[tree.Expression]:
    return st.recursive(comparisons(scope), combined, max_leaves=leaves)


def annotations() -> st.SearchStrategy[tree.Annotation]:
    keys = NAMES | PLAIN_KEYS
    return st.one_of(
        st.builds(tree.Annotation, keys),
        *(
            st.builds(tree.Annotation, keys, st.sampled_from(operators), values)
            for operators, values in _VALUES.values()
        ),
    )


def root_causes() -> st.SearchStrategy[tree.RootCause]:
    return st.one_of(
        st.builds(tree.RootCause, st.sampled_from(grammar.ROOT_CAUSE_KINDS), st.just(subject), blocks(scope))
        for subject, scope in grammar.CAUSE_SCOPES.items()
    )


def expressions() -> st.SearchStrategy[tree.Expression]:
    terms = st.one_of(
        comparisons(Scope.TRACE),
        annotations(),
        st.builds(tree.Group, st.sampled_from(["name", "arn"]), TEXT),
        st.builds(tree.RootCausePath, st.sampled_from(["[]", '[{"Services": [{"Name": "a}"}]}]'])),
        st.builds(tree.Service, st.none() | NODES, st.none() | blocks(Scope.SERVICE)),
        st.builds(tree.Edge, NODES, NODES, st.none() | blocks(Scope.EDGE)),
        root_causes(),
    )
    return st.recursive(terms, combined, max_leaves=5)
