"""A stored trace as segment documents, the way X-Ray hands it back: BatchGetTraces, ListRetrievedTraces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from fluoro.model import Resource
from fluoro.xray_document import to_document
from fluoro_collector.decode.xray import derived_operation
from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.trace.reading import PART, Outline, parts
from fluoro_collector.store.engine import Engine
from fluoro_collector.store.resources import read as read_resources
from fluoro_collector.store.segments import Row

MAX_NESTING = 100  # what is deeper stands as a document of its own, as a lone subsegment does on the way in
MAX_IN_DOCUMENT = 1_000  # segments in one document; what is more stands alone too
_NOTHING = Resource()


class Document(NamedTuple):
    """`id` is that of its segment, `text` the JSON."""

    id: str
    text: str


def plan(found: Outline, most: int = MAX_IN_DOCUMENT) -> list[list[int]]:
    """The documents of a trace, each as the indexes of its rows, its head first: a segment with its subsegments, also those
    that were sent alone.
    """
    documents: list[list[int]] = []
    place: list[tuple[int, int]] = []  # document of each row, and how deep it is in it
    for index, parent in enumerate(found.parents):
        if found.subsegments[index] and parent >= 0:
            document, nesting = place[parent]
            if nesting < MAX_NESTING and len(documents[document]) < most:
                documents[document].append(index)
                place.append((document, nesting + 1))
                continue
        place.append((len(documents), 0))
        documents.append([index])
    return documents


def trace_documents(
    engine: Engine, found: Outline, planned: Sequence[Sequence[int]], first: int = 0
) -> Iterator[list[Document]]:
    """For each planned document from the `first` on: it, and the inferred segments of its calls that no segment answers.

    Rows are read PART at a time, so memory does not grow with the trace.
    """
    answered = found.answered()
    while first < len(planned):
        last, indexes = first, list[int]()
        while last < len(planned) and (last == first or len(indexes) + len(planned[last]) <= PART):
            indexes += planned[last]
            last += 1
        [rows] = parts(engine, found, indexes, len(indexes))
        resources = read_resources(engine, [row.resource_id for row in rows])
        by_index = dict(zip(indexes, rows, strict=True))
        for members in planned[first:last]:
            made = [_folded(found, members, by_index, resources)]
            made += [_inferred(by_index[index]) for index in members if _asks(found, index, answered)]
            yield [Document(document["id"], msgspec.json.encode(document).decode()) for document in made]
        first = last


def lone_documents(engine: Engine, found: Outline, members: Sequence[int], longest: int) -> list[Document]:
    """The rows of one planned document, each in one of its own, and their inferred segments. What is still longer than
    `longest` characters loses its sections, the largest first, and says so in `metadata.fluoro.trimmed`.
    """
    answered = found.answered()
    [rows] = parts(engine, found, members, len(members))
    resources = read_resources(engine, [row.resource_id for row in rows])
    documents = []
    for index, row in zip(members, rows, strict=True):
        resource = resources.get(row.resource_id, _NOTHING)
        made = [to_document(row.segment, resource, operation=_operation(row))]
        if _asks(found, index, answered):
            made.append(_inferred(row))
        documents += [Document(document["id"], _trimmed(document, longest)) for document in made]
    return documents


def _trimmed(document: dict[str, Any], longest: int) -> str:
    text = msgspec.json.encode(document).decode()
    left_out: list[str] = []
    while len(text) > longest:
        sections = {key: len(msgspec.json.encode(value)) for key, value in document.items() if key not in _KEPT}
        largest = max(sections, key=lambda key: sections[key], default="")
        if not largest:
            break
        del document[largest]
        left_out.append(largest)
        marked = {**document, "metadata": {**document.get("metadata", {}), "fluoro": {"trimmed": left_out}}}
        text = msgspec.json.encode(marked).decode()
    return text


# What makes a document readable, and is short.
_KEPT = frozenset({"id", "name", "trace_id", "parent_id", "type", "start_time", "end_time", "in_progress"})


def trace_head(found: Outline) -> dict[str, Any]:
    """One of `Traces` without its segments. `LimitExceeded`: more is stored than is read of one trace."""
    return {
        "Id": format_trace_id(found.trace_id),
        "Duration": (found.ended - found.began) / 1_000_000_000,
        "LimitExceeded": found.truncated,
    }


def _folded(
    found: Outline, members: Sequence[int], rows: dict[int, Row], resources: dict[int, Resource]
) -> dict[str, Any]:
    """Children come after their parent, so from the end every document finds its subsegments made."""
    below: dict[int, list[dict[str, Any]]] = {}
    document: dict[str, Any] = {}
    for index in reversed(members):
        row = rows[index]
        nested = index != members[0]
        resource = resources.get(row.resource_id, _NOTHING)
        children = reversed(below.pop(index, ()))
        document = to_document(row.segment, resource, children, nested=nested, operation=_operation(row))
        below.setdefault(found.parents[index], []).append(document)
    return document


def _operation(row: Row) -> str:
    """The operation where a reader would not find it out from the rest of the document."""
    segment = row.segment
    return segment.operation if segment.operation != derived_operation(segment) else ""


def _asks(found: Outline, index: int, answered: set[int]) -> bool:
    """Whether a row is a call into a service that sent no segment."""
    return bool(found.is_call(index) and found.peer_names[index] and index not in answered)


def _inferred(row: Row) -> dict[str, Any]:
    call = row.segment
    made = to_document(call, _NOTHING, nested=True)
    shared = ("start_time", "end_time", "in_progress", "error", "throttle", "fault", "http", "aws", "sql")
    document: dict[str, Any] = {
        "id": _inferred_id(call.trace_id, call.id),
        "name": row.peer_name,
        "trace_id": format_trace_id(call.trace_id),
        "parent_id": made["id"],
        "inferred": True,
        **{key: made[key] for key in shared if key in made},
    }
    if row.peer_type != "remote":
        document["origin"] = row.peer_type
    return document


def _inferred_id(trace_id: bytes, call: int) -> str:
    """16 hex digits that are the same at every reading and unlike any id in the trace."""
    return blake2b(trace_id + call.to_bytes(8, "big"), digest_size=8, person=b"inferred").hexdigest()
