"""Where the trace header travels in an AWS request beside its HTTP header, which every request carries.

AWS hands the HTTP header on to what it starts by itself: Lambda, SNS's and EventBridge's targets, Step Functions. What
is put into parameters here reaches further: each event of a batch, and work that runs in a container or a job, which
finds the header in its environment (`_X_AMZN_TRACE_ID`, as in Lambda) or its arguments (`--trace-header`).

Nothing that the application set is replaced, its own mappings are not changed (copies are sent), and a request is left
as it is when it could be refused or mean something else with our addition:

- a container's environment is extended only in an override that the application makes. Without one we do not know the
  container's name (ECS) or whether the job has one container (Batch refuses the wrong kind of override). So is a Glue
  job's list of arguments, of which AWS says that it replaces the job's own;
- a request with an idempotency token must be repeated unchanged, which another header would prevent;
- limits of size and number are kept with room to spare.

Kinesis and Firehose have no place for a header.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from fluoro.instrument import _http
from fluoro.propagation import ENV_XRAY, XRAY
from fluoro.recorder import Span

ARGUMENT = "--trace-header"

MAX_STEP_FUNCTIONS = 256  # characters of StartExecution's traceHeader
MAX_EVENT_BRIDGE = 500  # of PutEvents' TraceHeader
MAX_SNS_ATTRIBUTES = 10  # a message with more is not delivered raw
MAX_SNS_CHARACTERS = 60_000  # of a request's messages: up to 4 bytes each, and SNS takes 256 KiB
MAX_OVERRIDES = 7_500  # characters of ECS's and Batch's overrides; ECS takes 8,192

Parameters = dict[str, Any]


def prepare(span: Span, service: str, operation: str, parameters: Any) -> Any:
    """The parameters to call `operation` with: the application's own, or a copy that carries the header of `span`."""
    carrier = _CARRIERS.get((service, operation))
    if carrier is None or not isinstance(parameters, dict):
        return parameters
    return carrier(parameters, span)


def _publish(parameters: Parameters, span: Span) -> Parameters:
    if _characters(parameters) > MAX_SNS_CHARACTERS:
        return parameters
    return _with_attribute(parameters, _http.xray_header(span))


def _publish_batch(parameters: Parameters, span: Span) -> Parameters:
    entries = parameters.get("PublishBatchRequestEntries")
    if not _mappings(entries) or sum(map(_characters, entries)) > MAX_SNS_CHARACTERS:
        return parameters
    header = _http.xray_header(span)
    return {**parameters, "PublishBatchRequestEntries": [_with_attribute(entry, header) for entry in entries]}


def _with_attribute(message: Parameters, header: str) -> Parameters:
    attributes = message.get("MessageAttributes", {})
    if not isinstance(attributes, dict) or XRAY in attributes or len(attributes) >= MAX_SNS_ATTRIBUTES:
        return message
    return {**message, "MessageAttributes": {**attributes, XRAY: {"DataType": "String", "StringValue": header}}}


def _characters(message: Parameters) -> int:
    count = 0
    for text in (message.get("Message"), message.get("Subject")):
        count += len(text) if isinstance(text, str) else 0
    attributes = message.get("MessageAttributes")
    if isinstance(attributes, dict):
        for value in attributes.values():
            if isinstance(value, dict):
                count += sum(len(part) for part in value.values() if isinstance(part, (str, bytes, bytearray)))
    return count


def _put_events(parameters: Parameters, span: Span) -> Parameters:
    entries = parameters.get("Entries")
    if not _mappings(entries):
        return parameters
    header = _bounded(span, MAX_EVENT_BRIDGE)
    return {**parameters, "Entries": [{"TraceHeader": header, **entry} for entry in entries]}


def _start_execution(parameters: Parameters, span: Span) -> Parameters:
    return {"traceHeader": _bounded(span, MAX_STEP_FUNCTIONS), **parameters}


def _start_job_run(parameters: Parameters, span: Span) -> Parameters:
    arguments = parameters.get("Arguments")
    if not isinstance(arguments, dict):
        return parameters
    return {**parameters, "Arguments": {ARGUMENT: _http.xray_header(span), **arguments}}


def _start_build(parameters: Parameters, span: Span) -> Parameters:
    """CodeBuild adds what is given to the project's own variables, by name."""
    variables = parameters.get("environmentVariablesOverride", [])
    if "idempotencyToken" in parameters or not _mappings(variables) or _named(variables):
        return parameters
    variable = {"name": ENV_XRAY, "value": _http.xray_header(span), "type": "PLAINTEXT"}
    return {**parameters, "environmentVariablesOverride": [*variables, variable]}


def _run_task(parameters: Parameters, span: Span) -> Parameters:
    if "clientToken" in parameters:
        return parameters
    return _overridden(parameters, ("overrides", "containerOverrides", "[]"), "environment", span)


def _submit_job(parameters: Parameters, span: Span) -> Parameters:
    for way, variables in (
        (("containerOverrides",), "environment"),
        (("nodeOverrides", "nodePropertyOverrides", "[]", "containerOverrides"), "environment"),
        (("ecsPropertiesOverride", "taskProperties", "[]", "containers", "[]"), "environment"),
        (("eksPropertiesOverride", "podProperties", "containers", "[]"), "env"),
    ):
        parameters = _overridden(parameters, way, variables, span)
    return parameters


def _overridden(parameters: Parameters, way: tuple[str, ...], variables: str, span: Span) -> Parameters:
    """A copy in which each container that `way` leads to has the header in its list `variables`."""
    if way[0] not in parameters or len(repr(parameters[way[0]])) > MAX_OVERRIDES:
        return parameters
    header = _http.xray_header(span)

    def changed(value: Any, rest: tuple[str, ...]) -> Any:
        if rest and rest[0] == "[]":
            return [changed(member, rest[1:]) for member in value] if isinstance(value, (list, tuple)) else value
        if not isinstance(value, dict):
            return value
        if rest:
            return {**value, rest[0]: changed(value[rest[0]], rest[1:])} if rest[0] in value else value
        own = value.get(variables, [])
        if not _mappings(own) or _named(own):
            return value
        return {**value, variables: [*own, {"name": ENV_XRAY, "value": header}]}

    result: Parameters = changed(parameters, way)
    return result


def _bounded(span: Span, limit: int) -> str:
    """The header; without what others added to it ("Lineage=…") if it would be longer than `limit`."""
    header = _http.xray_header(span)
    return header if len(header) <= limit else ";".join(header.split(";")[:3])


def _mappings(values: object) -> TypeGuard[list[Parameters]]:
    return isinstance(values, (list, tuple)) and all(isinstance(value, dict) for value in values)


def _named(variables: list[Parameters]) -> bool:
    return any(variable.get("name") == ENV_XRAY for variable in variables)


_CARRIERS: dict[tuple[str, str], Callable[[Parameters, Span], Parameters]] = {
    ("batch", "SubmitJob"): _submit_job,
    ("codebuild", "StartBuild"): _start_build,
    ("codebuild", "StartBuildBatch"): _start_build,
    ("ecs", "RunTask"): _run_task,
    ("ecs", "StartTask"): _run_task,
    ("events", "PutEvents"): _put_events,
    ("glue", "StartJobRun"): _start_job_run,
    ("sns", "Publish"): _publish,
    ("sns", "PublishBatch"): _publish_batch,
    ("stepfunctions", "StartExecution"): _start_execution,
    ("stepfunctions", "StartSyncExecution"): _start_execution,
}
