"""Segments → X-Ray documents that fit into one datagram each. Pure functions.

What hangs together in a batch travels together: a subsegment is nested in its parent. Where that is too large, or too
deep, the largest subtree leaves and travels alone, with its trace id and parent id, until the rest fits. A single segment
that is too large goes without, in this order and only as far as needed:

    metadata · stack frames · links and precursors · text beyond 250 characters · all exceptions but the first and the
    `aws` section · annotations · everything but identity, times and outcome

and says so in `metadata.fluoro.trimmed`. X-Ray has no field for the operation: it goes into `metadata.fluoro`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from fluoro.encoder import limited, plain, portable
from fluoro.model import Resource, Segment
from fluoro.xray_document import to_document, trace_id

# bytes of a document: X-Ray takes 64 KB, and with the header line it must fit into one IPv4 datagram (65,507)
MAX_DOCUMENT = 64_000
MAX_DEPTH = 32  # of nesting; JSON parsers give up somewhere
_ALONE = 140  # bytes that trace id, parent id and type add to a document that leaves its parent
_AROUND = len(b',"subsegments":[]')
_INVENTED = 0x9E37_79B9_7F4A_7C15  # mixed into the id of a call for the segment invented around it
_NOT_IN_NAMES = re.compile(r"[^\w\s.:/%&#=+\-@]")
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.]")
_MAX_NAME = 200
_MAX_TEXT = 250
_SHORT = {"request": ("method", "url", "user_agent", "client_ip")}
_IDENTITY = (
    "id",
    "name",
    "trace_id",
    "parent_id",
    "type",
    "namespace",
    "start_time",
    "end_time",
    "in_progress",
    "error",
    "throttle",
    "fault",
)

_encode = msgspec.json.Encoder(enc_hook=portable).encode


class Document(NamedTuple):
    """One document and the segments that it is made of; `own` of them are the application's."""

    body: bytes
    segments: list[Segment]
    own: int


class Split(NamedTuple):
    documents: list[Document]
    lost: int  # segments that cannot be encoded at all
    trimmed: int


class _Node:
    """A segment in its tree. `whole` is its document with those of its children that stayed."""

    __slots__ = ("children", "height", "segment", "segments", "whole")

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.children: list[_Node] = []
        self.whole = b""
        self.segments: list[Segment] = [segment]
        self.height = 0


def split(
    resource: Resource,
    segments: Sequence[Segment],
    limit: int = MAX_DOCUMENT,
    pause: Callable[[], object] = lambda: None,
) -> Split:
    """The documents of `segments`, each at most `limit` bytes (at least 2,000), parents before what left them."""
    documents: list[Document] = []
    lost = trimmed = 0
    for done, root in enumerate(_trees(_with_entries(segments, resource))):
        if done % 64 == 63:
            pause()
        left: list[_Node] = []
        for node in reversed(list(_walk(root))):
            body, cut = _own(node.segment, resource, limit - _ALONE, nested=node is not root)
            if not body:
                lost += 1
                left += [child for child in node.children if child.whole]
                continue
            trimmed += cut
            left += _assemble(node, body, limit if node is root else limit - _ALONE)
        if root.whole:
            documents.append(_document(root, root.whole))
        documents += [_document(node, _alone(node)) for node in left]
    return Split(documents, lost, trimmed)


def is_invented(segment: Segment) -> bool:
    """Whether `segment` is one of those that `split` puts around a call that nobody asked for."""
    return bool(segment.metadata and segment.metadata.get("fluoro", {}).get("invented"))


def _alone(node: _Node) -> bytes:
    """The document of a subsegment that leaves its parent."""
    segment = node.segment
    place = {
        "trace_id": trace_id(segment.trace_id),
        "parent_id": f"{segment.parent_id:016x}",
        "type": "subsegment",
    }
    return _encode(place)[:-1] + b"," + node.whole[1:]


def _document(node: _Node, body: bytes) -> Document:
    return Document(body, node.segments, sum(not is_invented(segment) for segment in node.segments))


def _with_entries(segments: Sequence[Segment], resource: Resource) -> list[Segment]:
    """A call outside of any request has no parent, and X-Ray knows no subsegment without one: it gets a segment of the
    service around it.
    """
    found = []
    for segment in segments:
        if segment.subsegment and not segment.parent_id:
            entry = Segment(
                segment.trace_id,
                segment.id ^ _INVENTED or 1,
                0,
                segment.service or resource.service_name,
                segment.start,
                segment.end,
                error=segment.error,
                throttle=segment.throttle,
                fault=segment.fault,
                origin=segment.origin,
                in_progress=segment.in_progress,
                metadata={"fluoro": {"invented": True}},
            )
            found += [entry, msgspec.structs.replace(segment, parent_id=entry.id)]
        else:
            found.append(segment)
    return found


def _trees(segments: list[Segment]) -> list[_Node]:
    """The roots; every segment is in exactly one tree, also where ids repeat or parents form a circle."""
    nodes = [_Node(segment) for segment in segments]
    by_id: dict[tuple[bytes, int], _Node] = {}
    for node in nodes:
        by_id.setdefault((node.segment.trace_id, node.segment.id), node)
    roots = []
    for node in nodes:
        segment = node.segment
        parent = by_id.get((segment.trace_id, segment.parent_id)) if segment.subsegment else None
        if parent is None or parent is node:
            roots.append(node)
        else:
            parent.children.append(node)
    reached = {id(node) for root in roots for node in _walk(root)}
    for node in nodes:
        if id(node) not in reached:  # in a circle, or below one: cut it open here
            for below in _walk(node, reached):
                below.children = [child for child in below.children if id(child) not in reached]
                reached.add(id(below))
            roots.append(node)
    return roots


def _walk(root: _Node, reached: set[int] | frozenset[int] = frozenset()) -> Iterator[_Node]:
    """Parents before children, without recursion: a trace may be deep."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += [child for child in node.children if id(child) not in reached]


def _assemble(node: _Node, own: bytes, room: int) -> list[_Node]:
    """Put the children into `node`'s document; those that have to leave are returned."""
    staying = sorted((child for child in node.children if child.whole), key=lambda child: len(child.whole))
    leaving = [child for child in staying if child.height >= MAX_DEPTH - 1]
    staying = [child for child in staying if child.height < MAX_DEPTH - 1]
    size = len(own) + _AROUND + sum(len(child.whole) + 1 for child in staying)
    while staying and size > room:
        child = staying.pop()
        size -= len(child.whole) + 1
        leaving.append(child)
    node.whole = own
    if staying:
        staying.sort(key=lambda child: child.segment.start)
        node.whole = own[:-1] + b',"subsegments":[' + b",".join(child.whole for child in staying) + b"]}"
        node.height = 1 + max(child.height for child in staying)
        for child in staying:
            node.segments += child.segments
            child.whole = b""
    return leaving


def _own(segment: Segment, resource: Resource, room: int, *, nested: bool) -> tuple[bytes, bool]:
    """The segment's own document, and whether it had to be trimmed; b"" if it cannot be encoded."""
    try:
        document = _conform(to_document(segment, resource, nested=nested), segment)
        body = _json(document)
        if len(body) <= room:
            return body, False
        cut: list[str] = []
        for step, what in _STEPS:
            step(document)
            cut.append(what)
            document["metadata"] = {"fluoro": {"trimmed": cut}}
            body = _json(document)
            if len(body) <= room:
                break
    except BaseException:  # noqa: BLE001  what users' objects raise; counted by the caller
        return b"", False
    else:
        return body, True


def _json(document: dict[str, Any]) -> bytes:
    try:
        return _encode(document)
    except BaseException:  # noqa: BLE001
        clean: dict[str, Any] = plain(document)
        return _encode(clean)


def _conform(document: dict[str, Any], segment: Segment) -> dict[str, Any]:
    """Bring names, keys and lengths to what X-Ray accepts."""
    document["name"] = _NOT_IN_NAMES.sub("_", document["name"])[:_MAX_NAME] or "unknown"
    if "user" in document:
        document["user"] = document["user"][:_MAX_TEXT]
    request = document.get("http", {}).get("request", {})
    for key in _SHORT["request"]:
        if key in request:
            request[key] = request[key][:_MAX_TEXT]
    if segment.annotations:
        document["annotations"] = {
            _NOT_IN_KEYS.sub("_", key): value for key, value in limited(segment.annotations).items()
        }
    if segment.operation:
        metadata = dict(segment.metadata or {})
        metadata["fluoro"] = {**metadata.get("fluoro", {}), "operation": segment.operation}
        document["metadata"] = metadata
    return document


def _without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def step(document: dict[str, Any]) -> None:
        for key in keys:
            document.pop(key, None)

    return step


def _without_stacks(document: dict[str, Any]) -> None:
    cause = document.get("cause")
    if isinstance(cause, dict):
        for record in cause.get("exceptions", ()):
            if record.pop("stack", None):
                record["truncated"] = record.get("truncated", 0) + 1


def _short_texts(value: Any, depth: int = 0) -> Any:
    """`value` with every string cut, and lists and mappings no longer than 250 either."""
    if isinstance(value, str):
        return value[:_MAX_TEXT]
    if isinstance(value, dict) and depth < 8:
        return {key[:_MAX_TEXT]: _short_texts(item, depth + 1) for key, item in list(value.items())[:_MAX_TEXT]}
    if isinstance(value, list) and depth < 8:
        return [_short_texts(item, depth + 1) for item in value[:_MAX_TEXT]]
    return value if isinstance(value, (bool, int, float)) else None


def _shorten(document: dict[str, Any]) -> None:
    clean = plain(document)
    document.clear()
    document.update(_short_texts(clean))


def _one_exception(document: dict[str, Any]) -> None:
    document.pop("aws", None)
    cause = document.get("cause")
    if isinstance(cause, dict):
        cause.pop("paths", None)
        cause["exceptions"] = cause.get("exceptions", [])[:1]


def _identity_only(document: dict[str, Any]) -> None:
    for key in list(document):
        if key not in _IDENTITY:
            del document[key]


_STEPS: tuple[tuple[Callable[[dict[str, Any]], None], str], ...] = (
    (_without("metadata"), "metadata"),
    (_without_stacks, "stack"),
    (_without("links", "precursor_ids"), "links"),
    (_shorten, "texts"),
    (_one_exception, "exceptions"),
    (_without("annotations"), "annotations"),
    (_identity_only, "sections"),
)
