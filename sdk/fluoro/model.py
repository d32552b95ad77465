"""The one record: what the SDK writes, the wire carries and the collector stores.

An X-Ray segment, an X-Ray subsegment and an OpenTelemetry span are all one flat `Segment`. A tree is built from
`parent_id`, and only when somebody reads it. Times are epoch nanoseconds (int). Ids are big-endian: a trace id is
16 bytes whose first four are the epoch second it was made in (valid for X-Ray and W3C alike), a span id is a
non-zero 64-bit int; 0 means "none".

Structs are encoded as arrays, so the order of fields is the wire format: append only, never reorder.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Union

import msgspec

Annotation = Union[str, int, float, bool]

WIRE_VERSION = 1


class Kind(IntEnum):
    """What side of a call a segment is on. Numbers are opentelemetry-api's `SpanKind`."""

    INTERNAL = 0
    SERVER = 1
    CLIENT = 2
    PRODUCER = 3
    CONSUMER = 4


class Http(msgspec.Struct, array_like=True):
    """The served request of a segment, or the outgoing one of a subsegment (X-Ray document, section `http`).

    `url` has no credentials and, from our SDK, no query string. `status` and `content_length` are 0 and -1 when
    unknown. `client_ip` is untrusted when `x_forwarded_for` is set.
    """

    method: str = ""
    url: str = ""
    status: int = 0
    content_length: int = -1
    user_agent: str = ""
    client_ip: str = ""
    x_forwarded_for: bool = False
    route: str = ""


class Sql(msgspec.Struct, array_like=True):
    """A database call (X-Ray document, section `sql`). `query` has lost its literals."""

    database_type: str = ""
    url: str = ""
    user: str = ""
    query: str = ""
    database_version: str = ""
    driver_version: str = ""
    connection_string: str = ""
    preparation: str = ""


class Frame(msgspec.Struct, array_like=True):
    """One line of a stack, deepest frame first."""

    path: str = ""
    line: int = 0
    label: str = ""


class ExceptionRecord(msgspec.Struct, array_like=True):
    """One exception. `id` and `cause` are 16 hex digits; `cause` names the exception this one was raised from.

    `truncated` counts frames left out of `stack`; `skipped` counts exceptions left out before `cause`.
    """

    id: str = ""
    type: str = ""
    message: str = ""
    remote: bool = False
    stack: list[Frame] = []
    cause: str = ""
    truncated: int = 0
    skipped: int = 0


class Cause(msgspec.Struct, array_like=True):
    """Why a segment failed: its exceptions, or only `ref`, the id of an exception recorded in a child."""

    exceptions: list[ExceptionRecord] = []
    ref: str = ""
    working_directory: str = ""
    paths: list[str] = []


class Link(msgspec.Struct, array_like=True):
    """A related segment that is not the parent, usually in another trace."""

    trace_id: bytes
    id: int
    attributes: dict[str, Any] | None = None


class Event(msgspec.Struct, array_like=True):
    """Something that happened at one moment of a segment; `time` is epoch nanoseconds."""

    name: str
    time: int
    attributes: dict[str, Any] | None = None


class Segment(msgspec.Struct, array_like=True):
    """One unit of work.

    `name` is X-Ray's: of a segment the service's name, of a call (`namespace` "remote" or "aws") the callee's, of
    internal work a label. `operation` says what was done: "GET /orders/{id}", "PutItem", "SELECT orders".
    `subsegment` is False for work a service was asked to do (its entry) and True for everything below it.
    `service` is the name of the service that did the work, when it is not the resource's.
    `end` is 0 while `in_progress`. `traced` says that the callee should send a segment of its own.
    `annotations` are indexed; `metadata` is {namespace: {key: any JSON}} and is not.
    `error` is a 4xx, `throttle` a 429 (and then `error` too), `fault` a 5xx or an unhandled exception.
    """

    trace_id: bytes
    id: int
    parent_id: int
    name: str
    start: int
    end: int = 0
    kind: Kind = Kind.INTERNAL
    subsegment: bool = False
    namespace: str = ""
    operation: str = ""
    error: bool = False
    throttle: bool = False
    fault: bool = False
    http: Http | None = None
    aws: dict[str, Any] | None = None
    sql: Sql | None = None
    cause: Cause | None = None
    annotations: dict[str, Annotation] | None = None
    metadata: dict[str, dict[str, Any]] | None = None
    links: list[Link] | None = None
    events: list[Event] | None = None
    origin: str = ""
    user: str = ""
    service: str = ""
    resource_arn: str = ""
    in_progress: bool = False
    traced: bool = False
    precursor_ids: list[int] | None = None
    trace_state: str = ""


class Resource(msgspec.Struct, array_like=True):
    """What all segments of a batch share: the process that made them.

    `attributes` holds the rest in OpenTelemetry's resource names ("telemetry.sdk.name", "process.runtime.version",
    "cloud.region", …); a value is a string, number, bool or a list of these.
    """

    service_name: str = ""
    service_version: str = ""
    environment: str = ""
    host: str = ""
    attributes: dict[str, Any] = {}


class Batch(msgspec.Struct, array_like=True):
    """Segments of one resource. `version` is `WIRE_VERSION` of the writer."""

    version: int
    resource: Resource
    segments: list[Segment]
