"""What brought a Lambda function to run, read from its event: the source, the caller, and the request if it is HTTP. Pure.

Events that carry a trace: HTTP ones (headers), SQS (`AWSTraceHeader`), SNS (message attributes), Kafka (record headers),
Lambda@Edge (the viewer's headers). One sender is the parent, several are links. For all others, and for a direct
invocation, the runtime's own header (`_X_AMZN_TRACE_ID`) says who called.

Operations are templates and types ("GET /orders/{id}", "SQS orders", "EventBridge shop OrderPlaced"), never paths, keys or
ids. Nothing of a body or payload is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from fluoro import propagation
from fluoro.model import Http, Kind
from fluoro.propagation import TRACEPARENT, XRAY, Parent

MAX_TEXT = 200  # characters of a source's own words in an operation
MAX_RECORDS = 1_000  # of a batch that are asked for their sender; SQS delivers 10,000 at most
EDGE = "AWS::CloudFront::Edge"
INVOKE = "invoke"


class Source(NamedTuple):
    """`parents` are the senders that the event names, None for one that names none. `route` is the template of an HTTP
    request, "" when only the application knows it. `aws` names the queue, topic or stream, for the service map.
    """

    operation: str = INVOKE
    kind: Kind = Kind.SERVER
    parents: tuple[Parent | None, ...] = ()
    http: Http | None = None
    route: str = ""
    aws: dict[str, Any] = {}  # noqa: RUF012  a default that nobody writes to
    origin: str = ""


def read(event: object) -> Source:
    """The source of an invocation; an event of an unknown shape is a direct invocation."""
    if not isinstance(event, Mapping):
        return Source()
    records = event.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], Mapping):
        return _records(records)
    request = event.get("requestContext")
    if isinstance(request, Mapping):
        return _http_api(event, request) if "http" in request else _gateway(event, request)
    for marks, reader in _OTHERS:
        if all(mark in event for mark in marks):
            return reader(event)
    return Source()


# --- HTTP ---


def _gateway(event: Mapping[str, Any], request: Mapping[str, Any]) -> Source:
    """API Gateway (REST, and HTTP in format 1.0), its websockets, and load balancers."""
    headers = _Headers(event.get("headers") or event.get("multiValueHeaders"))
    parents = (propagation.extract(headers.get),)
    if "connectionId" in request and "eventType" in request:
        return Source(f"WEBSOCKET {_text(request.get('routeKey'))}", parents=parents)
    method = event.get("httpMethod")
    if not isinstance(method, str):
        return Source(parents=parents)
    identity = request.get("identity")
    address = identity.get("sourceIp") if isinstance(identity, Mapping) else ""
    url = _url(headers, request.get("domainName"), event.get("path"))
    return Source(parents=parents, http=_request(method, url, headers, address), route=_text(event.get("resource")))


def _http_api(event: Mapping[str, Any], request: Mapping[str, Any]) -> Source:
    """API Gateway's HTTP APIs in format 2.0, and function URLs."""
    headers = _Headers(event.get("headers"))
    http = request["http"] if isinstance(request["http"], Mapping) else {}
    route = _text(event.get("routeKey")).partition(" ")[2]  # "$default" has none
    url = _url(headers, request.get("domainName"), event.get("rawPath"))
    described = _request(_text(http.get("method")), url, headers, http.get("sourceIp"))
    return Source(parents=(propagation.extract(headers.get),), http=described, route=route)


def _edge(record: Mapping[str, Any]) -> Source:
    """Lambda@Edge: a viewer's or an origin's request or response."""
    cf = record["cf"] if isinstance(record["cf"], Mapping) else {}
    config, request = cf.get("config"), cf.get("request")
    if not isinstance(request, Mapping):
        return Source(origin=EDGE)
    headers = _Headers(request.get("headers"))
    kind = _text(config.get("eventType")) if isinstance(config, Mapping) else ""
    url = _url(headers, None, request.get("uri"))
    described = _request(_text(request.get("method")), url, headers, request.get("clientIp"))
    parents = (propagation.extract(headers.get),)
    return Source(parents=parents, http=described, route=kind or "edge", origin=EDGE)


class _Headers:
    """Headers of any of the forms: name → value, → list of values, → list of {"value": …} (CloudFront's)."""

    def __init__(self, headers: object) -> None:
        self._values = (
            {str(name).lower(): value for name, value in headers.items()} if isinstance(headers, Mapping) else {}
        )

    def get(self, name: str) -> str | None:
        value = self._values.get(name.lower())
        if isinstance(value, list) and value:
            value = value[-1].get("value") if isinstance(value[-1], Mapping) else value[-1]
        return value if isinstance(value, str) else None


def _request(method: str, url: str, headers: _Headers, address: object) -> Http:
    forwarded = (headers.get("X-Forwarded-For") or "").partition(",")[0].strip()
    client = forwarded or (address if isinstance(address, str) else "")
    return Http(method[:32], url[:2_000], 0, -1, (headers.get("User-Agent") or "")[:250], client[:64], bool(forwarded))


def _url(headers: _Headers, domain: object, path: object) -> str:
    host = headers.get("Host") or (domain if isinstance(domain, str) else "")
    scheme = headers.get("X-Forwarded-Proto") or "https"
    return f"{scheme}://{host}{path if isinstance(path, str) else '/'}".partition("?")[0]


# --- queues, topics, streams and the rest ---


def _records(records: list[Any]) -> Source:
    first = records[0]
    if "cf" in first:
        return _edge(first)
    source = first.get("eventSource") or first.get("EventSource")
    arn = _text(first.get("eventSourceARN"))
    match source:
        case "aws:sqs":
            parts = arn.split(":")
            url = f"https://sqs.{parts[3]}.amazonaws.com/{parts[4]}/{parts[5]}" if len(parts) == 6 else arn
            return Source(f"SQS {parts[-1]}", Kind.CONSUMER, _each(records, _sqs_sender), aws={"queue_url": url})
        case "aws:sns":
            sns = first.get("Sns")
            topic = _text(sns.get("TopicArn")) if isinstance(sns, Mapping) else ""
            name = topic.rpartition(":")[2]
            return Source(f"SNS {name}", Kind.CONSUMER, _each(records, _sns_sender), aws={"topic_arn": topic})
        case "aws:kinesis":
            stream = arn.rpartition("/")[2]
            return Source(f"Kinesis {stream}", Kind.CONSUMER, aws={"stream_name": stream})
        case "aws:dynamodb":
            table = arn.partition("/")[2].partition("/")[0]
            return Source(f"DynamoDB stream {table}", Kind.CONSUMER, aws={"table_name": table})
        case "aws:s3":
            s3 = first.get("s3")
            bucket = s3.get("bucket") if isinstance(s3, Mapping) else None
            name = _text(bucket.get("name")) if isinstance(bucket, Mapping) else ""
            operation = f"S3 {name} {_text(first.get('eventName'))}"
            return Source(operation, Kind.CONSUMER, aws={"bucket_name": name})
        case _:
            return Source(_text(source).removeprefix("aws:") or INVOKE, Kind.CONSUMER)


def _each(records: Iterable[Any], sender: Callable[[Mapping[str, Any]], Parent | None]) -> tuple[Parent | None, ...]:
    found = [sender(record) for record in list(records)[:MAX_RECORDS] if isinstance(record, Mapping)]
    return tuple(found) if any(found) else ()


def _sqs_sender(record: Mapping[str, Any]) -> Parent | None:
    system, own = record.get("attributes"), record.get("messageAttributes")
    header = system.get("AWSTraceHeader") if isinstance(system, Mapping) else None
    if isinstance(header, str):
        return propagation.parse_xray(header)
    return _attributes(own, "stringValue")


def _sns_sender(record: Mapping[str, Any]) -> Parent | None:
    sns = record.get("Sns")
    return _attributes(sns.get("MessageAttributes"), "Value") if isinstance(sns, Mapping) else None


def _attributes(attributes: object, field: str) -> Parent | None:
    """The caller in message attributes, each a mapping with its text under `field`."""
    if not isinstance(attributes, Mapping):
        return None
    values = {str(name).lower(): value.get(field) for name, value in attributes.items() if isinstance(value, Mapping)}

    def get(name: str) -> str | None:
        value = values.get(name.lower())
        return value if isinstance(value, str) else None

    return propagation.extract(get)


def _kafka(event: Mapping[str, Any]) -> Source:
    if event.get("eventSource") not in ("aws:kafka", "SelfManagedKafka") or not isinstance(event["records"], Mapping):
        return Source()
    records = [record for part in event["records"].values() if isinstance(part, list) for record in part]
    topics = {_text(record.get("topic")) for record in records if isinstance(record, Mapping)}
    topic = topics.pop() if len(topics) == 1 else f"{len(topics)} topics"
    return Source(f"Kafka {topic}", Kind.CONSUMER, _each(records, _kafka_sender))


def _kafka_sender(record: Mapping[str, Any]) -> Parent | None:
    """Headers are a list of {name: [bytes of the value as numbers]}."""
    headers = record.get("headers")
    found: dict[str, str] = {}
    for header in headers if isinstance(headers, list) else ():
        for name, value in header.items() if isinstance(header, Mapping) else ():
            if str(name).lower() in (XRAY.lower(), TRACEPARENT) and isinstance(value, list):
                found[str(name).lower()] = "".join(
                    chr(part) for part in value if isinstance(part, int) and 0 <= part < 128
                )
    return propagation.extract(lambda name: found.get(name.lower()))


def _event_bridge(event: Mapping[str, Any]) -> Source:
    return Source(f"EventBridge {_text(event['source'])} {_text(event['detail-type'])}", Kind.CONSUMER)


def _app_sync(event: Mapping[str, Any]) -> Source:
    info, request = event["info"], event["request"]
    field = f"{_text(info.get('parentTypeName'))}.{_text(info.get('fieldName'))}" if isinstance(info, Mapping) else ""
    headers = _Headers(request.get("headers") if isinstance(request, Mapping) else None)
    return Source(f"AppSync {field}", parents=(propagation.extract(headers.get),))


def _mq(event: Mapping[str, Any]) -> Source:
    source = _text(event["eventSource"])
    if source not in ("aws:mq", "aws:rmq", "aws:docdb"):
        return Source()
    name = {"aws:mq": "ActiveMQ", "aws:rmq": "RabbitMQ", "aws:docdb": "DocumentDB"}[source]
    return Source(
        f"{name} {_text(event.get('eventSourceArn') or event.get('eventSourceARN')).rpartition(':')[2]}", Kind.CONSUMER
    )


# The keys that mark an event → its reader; the first whose keys are all there.
_OTHERS: tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Source]], ...] = (
    (("source", "detail-type"), _event_bridge),
    (("eventSource", "records"), _kafka),
    (("eventSource",), _mq),
    (("info", "request"), _app_sync),
    (("awslogs",), lambda _: Source("CloudWatch Logs", Kind.CONSUMER)),
    (("deliveryStreamArn", "records"), lambda event: Source(f"Firehose {_last(event['deliveryStreamArn'])}")),
    (("triggerSource", "userPoolId"), lambda event: Source(f"Cognito {_text(event['triggerSource'])}")),
    (("RequestType", "StackId"), lambda event: Source(f"CloudFormation {_text(event['RequestType'])}")),
    (("CodePipeline.job",), lambda _: Source("CodePipeline job")),
    (("invokingEvent", "configRuleName"), lambda event: Source(f"Config {_text(event['configRuleName'])}")),
    (("invocationSchemaVersion", "tasks"), lambda _: Source("S3 batch")),
    (("actionGroup", "agent"), lambda event: Source(f"Bedrock agent {_text(event['actionGroup'])}")),
)


def _last(arn: object) -> str:
    return _text(arn).rpartition("/")[2]


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""
