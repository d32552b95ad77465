"""The vocabulary of filter expressions, and where each word may stand. The parser asks only here what it may accept, and
notes what it asked for: lists of expected words and completions are these notes, so they cannot differ from the parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

# Operators by class of the value.
BOOLEAN_OPERATORS = ("=", "!=")
NUMBER_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
STRING_OPERATORS = ("=", "!=", "CONTAINS", "BEGINSWITH", "ENDSWITH")
WORD_OPERATORS = frozenset({"CONTAINS", "BEGINSWITH", "ENDSWITH"})

ROOT_CAUSE_KINDS = ("fault", "error", "responsetime")
ROOT_CAUSE_SUBJECTS = ("service", "entity", "exception")


class Scope(Enum):
    """What an expression speaks of: the trace and its root, or, inside a block, one thing of the trace."""

    TRACE = "outside of blocks"
    SERVICE = "inside service() {…}"
    EDGE = "inside edge() {…}"
    CAUSE_SERVICE = "inside rootcause.….service {…}"
    CAUSE_ENTITY = "inside rootcause.….entity {…}"
    CAUSE_EXCEPTION = "inside rootcause.….exception {…}"


CAUSE_SCOPES = {
    "service": Scope.CAUSE_SERVICE,
    "entity": Scope.CAUSE_ENTITY,
    "exception": Scope.CAUSE_EXCEPTION,
}


class Keyword(NamedTuple):
    """`kind` is bool, float or str: the class of its values."""

    name: str
    kind: type
    scopes: frozenset[Scope]
    detail: str


_T, _S, _E = Scope.TRACE, Scope.SERVICE, Scope.EDGE
_CS, _CE, _CX = Scope.CAUSE_SERVICE, Scope.CAUSE_ENTITY, Scope.CAUSE_EXCEPTION
_REQUESTS = (_T, _S, _E)
_PATHS = (_CS, _CE, _CX)


def _keyword(name: str, kind: type, scopes: tuple[Scope, ...], detail: str) -> Keyword:
    return Keyword(name, kind, frozenset(scopes), detail)


KEYWORDS: dict[str, Keyword] = {
    each.name: each
    for each in (
        _keyword("ok", bool, _REQUESTS, "no error, throttle or fault"),
        _keyword("error", bool, _REQUESTS, "the caller's mistake: status 4xx"),
        _keyword("throttle", bool, _REQUESTS, "too many requests: status 429"),
        _keyword("fault", bool, _REQUESTS, "the service failed: status 5xx or an exception"),
        _keyword("partial", bool, _REQUESTS, "something is still in progress"),
        _keyword("responsetime", float, _REQUESTS, "seconds until the answer"),
        _keyword("duration", float, (_T, _S), "seconds from the first start to the last end"),
        _keyword("http.status", float, _REQUESTS, "status of the answer"),
        _keyword("http.url", str, _REQUESTS, "URL of the request"),
        _keyword("http.method", str, _REQUESTS, "method of the request"),
        _keyword("http.useragent", str, _REQUESTS, "user agent of the client"),
        _keyword("http.clientip", str, _REQUESTS, "address of the client"),
        _keyword("user", str, (_T, _S), "user of the request"),
        _keyword("availabilityzone", str, (_T, _S), "zone that a segment ran in"),
        _keyword("instance.id", str, (_T, _S), "instance that a segment ran on"),
        _keyword("resource.arn", str, (_T, _S), "ARN of the resource that ran a segment"),
        _keyword("account.id", str, (_T, _S, _CS), "AWS account"),
        _keyword("root", bool, (_S,), "the entry of the trace"),
        _keyword("inferred", bool, (_S, _CS), "known from its callers only"),
        _keyword("remote", bool, (_S, _E, _CE), "a call to another service"),
        _keyword("first", bool, (_S, *_PATHS), "first of its list"),
        _keyword("last", bool, (_S, *_PATHS), "last of its list"),
        _keyword("index", float, (_S, *_PATHS), "place in its list, from 0"),
        _keyword("name", str, (_S, *_PATHS), "name"),
        _keyword("type", str, (_S, _CS), "type of the service"),
        _keyword("coverage", float, (_CE,), "share of the response time, 0 to 1"),
        _keyword("message", str, (_CX,), "message of the exception"),
    )
}


class Complex(NamedTuple):
    """A term that is not a keyword with an operator; only outside of blocks. `insert` is what completion writes."""

    name: str
    insert: str
    detail: str


COMPLEX: dict[str, Complex] = {
    each.name: each
    for each in (
        Complex("service", "service(", "passes through a service"),
        Complex("edge", "edge(", "passes from one service to another"),
        Complex("annotation.", "annotation.", "an annotation, by its key"),
        Complex("annotation[", 'annotation["', "an annotation whose key has other characters"),
        Complex("group.name", "group.name", "what a group's expression finds"),
        Complex("group.arn", "group.arn", "what a group's expression finds"),
        *(
            Complex(
                f"rootcause.{kind}.{subject}", f"rootcause.{kind}.{subject}", f"{subject} on the path to the {cause}"
            )
            for kind, cause in zip(ROOT_CAUSE_KINDS, ("fault", "error", "delay"), strict=True)
            for subject in ROOT_CAUSE_SUBJECTS
        ),
        Complex("rootcause.json", "rootcause.json", "a whole path to the root cause"),
    )
}


def keywords_of(scope: Scope) -> list[Keyword]:
    return [each for each in KEYWORDS.values() if scope in each.scopes]


class Expectation(NamedTuple):
    """Something that may stand at a place.

    `kind`: "keyword", "operator", "sign", "boolean" ("true" or "false"), "number", "text", "key" (of an annotation) or
    "json"; `label` names it in messages, `insert` is what completion writes ("" when only the writer can know). `values`
    is the keyword whose values are wanted. An `aside` may stand there, but is told only to those who began to write it.
    """

    kind: str
    label: str
    insert: str = ""
    detail: str = ""
    values: str = ""
    aside: bool = False


AND = Expectation("operator", "AND", "AND", "both")
OR = Expectation("operator", "OR", "OR", "one of both")
NOT = Expectation("sign", '"!"', "!", "not")
OPEN = Expectation("sign", '"("', "(")
END = Expectation("end", "the end")
NUMBER = Expectation("number", "a number")
BOOLEANS = (Expectation("boolean", "true", "true"), Expectation("boolean", "false", "false"))
KEY = Expectation("key", "a key", values="annotation")
JSON = Expectation("json", "#[…]", "#[", "list of paths")
ID = Expectation("keyword", "id(…)", "id(", "by name, type or account")
FIELDS = {
    "name": ("name", Expectation("keyword", "name:", "name: ", "name of the service"), "service"),
    "type": ("type", Expectation("keyword", "type:", "type: ", "type of the service"), "type"),
    "account.id": ("account", Expectation("keyword", "account.id:", "account.id: ", "AWS account"), "account.id"),
}


def terms(scope: Scope) -> Iterator[Expectation]:
    """Whatever a term can begin with."""
    for keyword in keywords_of(scope):
        yield Expectation("keyword", keyword.name, keyword.name, keyword.detail)
    if scope is Scope.TRACE:
        for each in COMPLEX.values():
            yield Expectation("keyword", each.name, each.insert, each.detail)
    yield NOT
    yield OPEN
