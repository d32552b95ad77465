"""A stored trace as segment documents, the way X-Ray hands it back: BatchGetTraces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from fluoro.model import Kind, Resource
from fluoro.xray_document import to_document
from fluoro_collector.query.ids import format_trace_id
from fluoro_collector.query.trace import Placed, place
from fluoro_collector.query.traces import SECOND
from fluoro_collector.store.segments import Row

MAX_NESTING = 100  # what is deeper stands as a document of its own, as a lone subsegment does on the way in
_NOTHING = Resource()


def trace_documents(found: Sequence[Row], resources: Mapping[int, Resource]) -> dict[str, Any]:
    """One of `Traces`. Subsegments, also those sent alone, are folded into the document of their segment.

    A call that no segment answers gets an inferred segment. `Id` of an entry is the id of its segment.
    """
    start = min(row.segment.start for row in found)
    end = max(max(row.segment.start, row.segment.end) for row in found)
    documents = _documents(place(found), resources) + _inferred(found)
    return {
        "Id": format_trace_id(found[0].segment.trace_id),
        "Duration": (end - start) / SECOND,
        "LimitExceeded": False,
        "Segments": [
            {"Id": document["id"], "Document": msgspec.json.encode(document).decode()} for document in documents
        ],
    }


def _documents(placed: list[Placed], resources: Mapping[int, Resource]) -> list[dict[str, Any]]:
    """Children come after their parent in `placed`, so from the end every document finds its subsegments made."""
    nesting: list[int] = []  # 0: a document of its own
    for row, parent, _ in placed:
        inside = row.segment.subsegment and parent >= 0 and nesting[parent] < MAX_NESTING
        nesting.append(nesting[parent] + 1 if inside else 0)
    below: list[list[dict[str, Any]]] = [[] for _ in placed]
    whole: list[dict[str, Any]] = []
    for index in range(len(placed) - 1, -1, -1):
        row, parent, _ = placed[index]
        nested = nesting[index] > 0
        resource = resources.get(row.resource_id, _NOTHING)
        document = to_document(row.segment, resource, reversed(below[index]), nested=nested)
        (below[parent] if nested else whole).append(document)
    return whole[::-1]


def _inferred(found: Sequence[Row]) -> list[dict[str, Any]]:
    answered = {
        row.segment.parent_id for row in found if not row.segment.subsegment and row.segment.kind != Kind.CONSUMER
    }
    documents = []
    for row in found:
        call = row.segment
        if not (call.subsegment and call.namespace and row.peer_name) or call.id in answered:
            continue
        made = to_document(call, _NOTHING, nested=True)
        document: dict[str, Any] = {
            "id": _inferred_id(call.trace_id, call.id),
            "name": row.peer_name,
            "trace_id": format_trace_id(call.trace_id),
            "parent_id": made["id"],
            "inferred": True,
            **{
                key: made[key]
                for key in ("start_time", "end_time", "in_progress", "error", "throttle", "fault", "http", "aws", "sql")
                if key in made
            },
        }
        if row.peer_type != "remote":
            document["origin"] = row.peer_type
        documents.append(document)
    return documents


def _inferred_id(trace_id: bytes, call: int) -> str:
    """16 hex digits that are the same at every reading and unlike any id in the trace."""
    return blake2b(trace_id + call.to_bytes(8, "big"), digest_size=8, person=b"inferred").hexdigest()
