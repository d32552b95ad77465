"""BatchGetTraces: whole traces, page by page where they are large."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from fluoro_collector.query.ids import parse_trace_id
from fluoro_collector.query.trace.reading import outline

from .documents import plan, trace_documents, trace_head
from .request import XRayError, invalid
from .shared import Body, Shared

PAGE_CHARACTERS = 5_000_000  # of documents in one answer; the document that passes it is its last


class _Position(NamedTuple):
    """Where a page ended: `asked` is a digest of the ids, `trace` an index into them, `document` the next of that trace."""

    asked: str
    trace: int
    document: int


_decode = msgspec.json.Decoder(_Position).decode


def batch_get_traces(shared: Shared, names: Sequence[str], token: str) -> Body:
    """`names` are trace ids as they were sent. One trace may go on from page to page; its parts have the same Id.

    What is not stored, or is no trace id, is in `UnprocessedTraceIds` of the page that comes to it. Raises XRayError for a token that
    was given out for other ids.
    """
    asked = list(dict.fromkeys(names))
    digest = blake2b("\n".join(asked).encode(), digest_size=8).hexdigest()
    position = _parse(token, digest) if token else _Position(digest, 0, 0)
    traces: list[Body] = []
    missing: list[str] = []
    characters = 0
    for number in range(position.trace, len(asked)):
        trace_id = parse_trace_id(asked[number])
        found = outline(shared.engine, trace_id) if trace_id else None
        if found is None:
            missing.append(asked[number])
            continue
        if characters >= PAGE_CHARACTERS:
            return _page(traces, missing, _Position(digest, number, 0))
        planned = plan(found)
        first = position.document if number == position.trace else 0
        segments: list[Body] = []
        traces.append({**trace_head(found), "Segments": segments})
        for made, documents in enumerate(trace_documents(shared.engine, found, planned, first), first + 1):
            segments += [{"Id": document.id, "Document": document.text} for document in documents]
            characters += sum(len(document.text) for document in documents)
            if characters >= PAGE_CHARACTERS and made < len(planned):
                return _page(traces, missing, _Position(digest, number, made))
    return _page(traces, missing, None)


def _page(traces: list[Body], missing: list[str], following: _Position | None) -> Body:
    page: Body = {"Traces": traces, "UnprocessedTraceIds": missing}
    if following is not None:
        page["NextToken"] = base64.urlsafe_b64encode(msgspec.json.encode(following)).decode()
    return page


def _parse(token: str, digest: str) -> _Position:
    try:
        position = _decode(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise _foreign() from None
    if position.asked != digest or position.trace < 0 or position.document < 0:
        raise _foreign()
    return position


def _foreign() -> XRayError:
    return invalid("NextToken was not given out by this operation for these TraceIds")
