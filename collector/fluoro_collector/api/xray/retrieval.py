"""Operations that fetch traces as a job: StartTraceRetrieval, ListRetrievedTraces, GetRetrievedTracesGraph, CancelTraceRetrieval.

Everything is stored already, so a job is complete at once: it holds which of the ids are there. Jobs are kept in the
configuration, since a token may not be longer than 1020 characters and 100 ids are; so any collector of the store knows
them, and after a restart too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from fluoro.model import Resource
from fluoro_collector.query.graph.filtered_graph import traces_graph
from fluoro_collector.query.ids import format_trace_id, parse_trace_id
from fluoro_collector.query.trace.reading import Outline, outline, parts
from fluoro_collector.query.trace.retrieval import retrievable, trace_links
from fluoro_collector.store.resources import read as read_resources

from .documents import Document, lone_documents, plan, trace_documents, trace_head
from .graph import services
from .otel_spans import to_span
from .request import XRayError, invalid, window
from .shared import LATEST, Body, Operation, Shared

TIMEOUT_S = 3600  # a job's traces can be listed for that long
MAX_JOBS = 200  # kept at one time
TRACES = 5  # in one answer
SPANS = 100  # of one trace in one answer
MAX_DOCUMENT = 204_800  # characters
PAGE_CHARACTERS = 5_000_000
SERVICES = 1_000
LINKS = 100
_IN_DOCUMENT = 50  # segments: with the inferred ones at most SPANS documents
_KIND = "retrieval"


class _Position(NamedTuple):
    """Where a page ended: `trace` is an index into the job's traces, `part` one into what the trace is made of."""

    job: str
    trace: int
    part: int


_decode = msgspec.json.Decoder(_Position).decode


def start_trace_retrieval(shared: Shared, body: Body) -> Body:
    """Of the ids, the traces that have a segment which began in [StartTime, EndTime). What is no id is not found either."""
    start, end = window(body, LATEST, LATEST)
    ids = [id_ for name in body["TraceIds"] if (id_ := parse_trace_id(name))]
    begin_ns, end_ns = round(start * 1e9), round(end * 1e9)
    found = retrievable(shared.engine, ids, begin_ns, end_ns)
    now = shared.now()
    token = uuid4().hex
    job = {"traces": [id_.hex() for id_ in found], "began": now, "window": [begin_ns, end_ns], "cancelled": False}
    with shared.configuration.edit(_KIND) as edit:
        crowded = len(edit.documents.by_name) >= MAX_JOBS
        for name, kept in edit.documents.by_name.items():
            if _is_over(kept, now) or (crowded and _status(kept, now) != "COMPLETE"):
                edit.delete(name)
        if len(edit.documents.by_name) >= MAX_JOBS:
            raise XRayError("ThrottledException", f"{MAX_JOBS} retrievals are open; cancel one, or wait", 429)
        edit.put(token, job)
    return {"RetrievalToken": token}


def list_retrieved_traces(shared: Shared, body: Body) -> Body:
    """At most TRACES traces and SPANS documents of each; a trace that has more goes on in the next answer under its Id."""
    job = _job(shared, body)
    form = body.get("TraceFormat", "XRAY")
    answer: Body = {"RetrievalStatus": _status(job, shared.now()), "TraceFormat": form, "Traces": []}
    if answer["RetrievalStatus"] != "COMPLETE":
        return answer
    position = _position(body)
    characters = 0
    ids = [bytes.fromhex(text) for text in job["traces"]]
    for number in range(position.trace, len(ids)):
        if len(answer["Traces"]) == TRACES or characters >= PAGE_CHARACTERS:
            return {**answer, "NextToken": _token(body, number, 0)}
        found = outline(shared.engine, ids[number])
        if found is None:
            continue  # expired meanwhile
        first = position.part if number == position.trace else 0
        spans: list[Body] = []
        answer["Traces"].append(
            {"Id": format_trace_id(ids[number]), "Duration": trace_head(found)["Duration"], "Spans": spans}
        )
        for part, documents in enumerate(_documents(shared, found, form, first), first):
            if len(spans) + len(documents) > SPANS or characters >= PAGE_CHARACTERS:
                return {**answer, "NextToken": _token(body, number, part)}
            spans += [{"Id": document.id, "Document": document.text} for document in documents]
            characters += sum(len(document.text) for document in documents)
    return answer


def get_retrieved_traces_graph(shared: Shared, body: Body) -> Body:
    """At most SERVICES services; ReferenceIds hold through all pages. `Links` are to traces that the service's segments name."""
    job = _job(shared, body)
    answer: Body = {"RetrievalStatus": _status(job, shared.now()), "Services": []}
    if answer["RetrievalStatus"] != "COMPLETE":
        return answer
    first = _position(body).part
    ids = [bytes.fromhex(text) for text in job["traces"]]
    links = trace_links(shared.engine, ids, *job["window"])
    listed = services(traces_graph(shared.engine, ids))
    for service in listed[first : first + SERVICES]:
        own = links.get(service["Name"], {}) if service["State"] == "active" else {}
        answer["Services"].append({"Service": service, "Links": list(_links(own))[:LINKS]})
    if first + SERVICES < len(listed):
        answer["NextToken"] = _token(body, 0, first + SERVICES)
    return answer


def cancel_trace_retrieval(shared: Shared, body: Body) -> Body:
    """A job that is cancelled lists nothing any more."""
    name = body["RetrievalToken"]
    with shared.configuration.edit(_KIND) as edit:
        job = edit.documents.by_name.get(name)
        if job is None:
            raise _unknown()
        if not job["cancelled"]:
            edit.put(name, {**job, "traces": [], "cancelled": True})
    return {}


def _job(shared: Shared, body: Body) -> dict[str, Any]:
    name = body["RetrievalToken"]
    job = shared.configuration.get(_KIND, name)
    if job is None:  # another collector may just have begun it
        with shared.configuration.edit(_KIND) as edit:
            job = edit.documents.by_name.get(name)
    if job is None or _is_over(job, shared.now()):
        raise _unknown()
    return job


def _unknown() -> XRayError:
    return XRayError("ResourceNotFoundException", "there is no retrieval with this RetrievalToken", 404)


def _status(job: dict[str, Any], now: float) -> str:
    if job["cancelled"]:
        return "CANCELLED"
    return "TIMEOUT" if now > job["began"] + TIMEOUT_S else "COMPLETE"


def _is_over(job: dict[str, Any], now: float) -> bool:
    """For some time a job still says that its time is over."""
    return bool(now > job["began"] + 2 * TIMEOUT_S)


def _documents(shared: Shared, found: Outline, form: str, first: int) -> Iterator[list[Document]]:
    """What a trace is made of from its `first` part on, at most SPANS documents in each part."""
    if form == "XRAY":
        planned = plan(found, _IN_DOCUMENT)
        for index, made in enumerate(trace_documents(shared.engine, found, planned, first), first):
            if max(len(document.text) for document in made) > MAX_DOCUMENT:
                yield lone_documents(shared.engine, found, planned[index], MAX_DOCUMENT)
            else:
                yield made
        return
    indexes = range(len(found))[first:]
    for rows in parts(shared.engine, found, indexes, SPANS):
        resources = read_resources(shared.engine, [row.resource_id for row in rows])
        for row in rows:
            text = _fitting(to_span(row, resources.get(row.resource_id, Resource())))
            yield [Document(f"{row.segment.id:016x}", text)]


def _fitting(span: dict[str, Any]) -> str:
    """The JSON of a span; one that is too long says what was left out."""
    text = msgspec.json.encode(span).decode()
    if len(text) <= MAX_DOCUMENT:
        return text
    # What remains is bounded: names have an end.
    left_out = [name for name in ("attributes", "events", "links") if span.pop(name, None)]
    span["resource"] = {"attributes": {"service.name": span["resource"]["attributes"].get("service.name", "")}}
    span["attributes"] = {"fluoro.trimmed": [*left_out, "resource"]}
    return msgspec.json.encode(span).decode()


def _links(targets: dict[bytes, dict[bytes, None]]) -> Iterator[Body]:
    for source, destinations in targets.items():
        yield {
            "ReferenceType": "LINK",
            "SourceTraceId": format_trace_id(source),
            "DestinationTraceIds": [format_trace_id(each) for each in list(destinations)[:LINKS]],
        }


def _token(body: Body, trace: int, part: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Position(body["RetrievalToken"], trace, part))).decode()


def _position(body: Body) -> _Position:
    token = body.get("NextToken")
    if not token:
        return _Position(body["RetrievalToken"], 0, 0)
    try:
        position = _decode(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        position = None
    if position is None or position.job != body["RetrievalToken"] or position.trace < 0 or position.part < 0:
        raise invalid("NextToken was not given out by this operation for this RetrievalToken")
    return position


OPERATIONS: dict[str, Operation] = {
    "StartTraceRetrieval": start_trace_retrieval,
    "ListRetrievedTraces": list_retrieved_traces,
    "GetRetrievedTracesGraph": get_retrieved_traces_graph,
    "CancelTraceRetrieval": cancel_trace_retrieval,
}
