"""What a call's OpenTelemetry attributes say about the other side: its name on the map, and the `aws` and `sql`
sections. Pure; used by `semantics` only. A key that a section carries is taken out of the attributes.
"""

from __future__ import annotations

from typing import Any

from fluoro.aws_services import display_name
from fluoro.model import Sql

# Attribute → key of the `aws` section. Where two attributes mean one key, the first present wins.
_AWS_KEYS: tuple[tuple[str, str], ...] = (
    ("cloud.region", "region"),
    ("aws.region", "region"),
    ("aws.request_id", "request_id"),
    ("aws.requestId", "request_id"),
    ("aws.extended_request_id", "id_2"),
    ("aws.sqs.queue.url", "queue_url"),
    ("aws.sqs.queue_url", "queue_url"),
    ("aws.queue.url", "queue_url"),
    ("aws.queue_url", "queue_url"),
    ("aws.table.name", "table_name"),
    ("aws.table_name", "table_name"),
    ("aws.sns.topic.arn", "topic_arn"),
    ("aws.sns.topic_arn", "topic_arn"),
    ("aws.topic.arn", "topic_arn"),
    ("aws.s3.bucket", "bucket_name"),
    ("aws.bucket.name", "bucket_name"),
    ("aws.bucket", "bucket_name"),
    ("aws.s3.key", "key"),
    ("aws.kinesis.stream_name", "stream_name"),
    ("aws.kinesis.stream.name", "stream_name"),
    ("aws.stream.name", "stream_name"),
    ("aws.step_functions.state_machine.arn", "state_machine_arn"),
    ("aws.stepfunctions.state_machine.arn", "state_machine_arn"),
    ("aws.step_functions.activity.arn", "activity_arn"),
    ("aws.stepfunctions.activity.arn", "activity_arn"),
    ("aws.secretsmanager.secret.arn", "secret_id"),
    ("aws.lambda.function.name", "function_name"),
    ("aws.lambda.function_name", "function_name"),
    ("faas.invoked_name", "function_name"),
    ("cloud.account.id", "account_id"),
    ("aws.account_id", "account_id"),
    ("retry_attempts", "retries"),
)
_AWS_ATTRIBUTES = frozenset(attribute for attribute, _ in _AWS_KEYS)

_MOMENTARY = ("messaging.destination.temporary", "messaging.destination.anonymous")

_QUEUES = frozenset({"aws_sqs", "aws.sqs", "AmazonSQS"})
_TOPICS = frozenset({"aws_sns", "aws.sns", "AmazonSNS"})

# `db.system.name` (and the old `db.system`) of databases that speak SQL.
SQL_SYSTEMS = frozenset(
    {
        "actian.ingres",
        "adabas",
        "aws.redshift",
        "cache",
        "clickhouse",
        "cloudscape",
        "cockroachdb",
        "db2",
        "derby",
        "edb",
        "filemaker",
        "firebird",
        "firebirdsql",
        "firstsql",
        "gcp.spanner",
        "h2",
        "h2database",
        "hanadb",
        "hive",
        "hsqldb",
        "ibm.db2",
        "ibm.informix",
        "ibm.netezza",
        "informix",
        "ingres",
        "instantdb",
        "interbase",
        "intersystems_cache",
        "mariadb",
        "maxdb",
        "microsoft.sql_server",
        "mssql",
        "mssqlcompact",
        "mysql",
        "netezza",
        "oracle",
        "oracle.db",
        "other_sql",
        "pervasive",
        "pointbase",
        "postgresql",
        "presto",
        "progress",
        "redshift",
        "sap.hana",
        "sap.maxdb",
        "snowflake",
        "softwareag.adabas",
        "spanner",
        "sqlite",
        "sybase",
        "teradata",
        "trino",
        "vertica",
    }
)


def is_aws(attributes: dict[str, Any]) -> bool:
    """Whether the span is a call made by an AWS SDK."""
    return (
        attributes.get("rpc.system") == "aws-api"
        or attributes.get("rpc.system.name") == "aws-api"
        or "aws.service" in attributes
    )


def aws(span_name: str, attributes: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """(display name of the service, operation, `aws` section) of an AWS SDK call.

    Conventions differ in where they say the two names: `rpc.service` and `rpc.method`, both in `rpc.method`, only in
    the span's name ("DynamoDB.PutItem").
    """
    for key in ("rpc.system", "rpc.system.name"):
        attributes.pop(key, None)
    service = _take(attributes, "aws.service") or _take(attributes, "rpc.service")
    operation = _take(attributes, "aws.operation") or _take(attributes, "rpc.method")
    attributes.pop("rpc.service", None)
    attributes.pop("rpc.method", None)
    if "/" in operation:
        qualifier, _, operation = operation.rpartition("/")
        service = service or qualifier
    if not service or not operation:
        before, _, after = span_name.replace("/", ".").rpartition(".")
        service = service or before or after
        operation = operation or after
    section: dict[str, Any] = {"operation": operation}
    if not _AWS_ATTRIBUTES.isdisjoint(attributes):
        for attribute, key in _AWS_KEYS:
            if attribute in attributes:
                value = attributes[attribute]
                if value.__class__ is str or value.__class__ is int:
                    section.setdefault(key, value)
                    del attributes[attribute]
    tables = attributes.get("aws.dynamodb.table_names")
    if tables.__class__ is list or tables.__class__ is tuple:
        del attributes["aws.dynamodb.table_names"]
        if len(tables) == 1:
            section.setdefault("table_name", tables[0])
        elif tables:
            section["table_names"] = list(tables)
    name = display_name(service)
    if name in ("SQS", "SNS"):
        _destination(attributes, section)
    return name, operation, section


def message_source(attributes: dict[str, Any]) -> dict[str, Any] | None:
    """The `aws` section of a consumer of SQS or SNS messages; None for other systems, whose destination stays an
    attribute.
    """
    section: dict[str, Any] = {}
    for attribute, key in _AWS_KEYS:
        if key in ("queue_url", "topic_arn", "stream_name") and attribute in attributes:
            section.setdefault(key, _take(attributes, attribute))
    _destination(attributes, section)
    return section or None


def _destination(attributes: dict[str, Any], section: dict[str, Any]) -> None:
    system = attributes.get("messaging.system")
    url, name = attributes.get("messaging.url"), attributes.get("messaging.destination.name")
    if system in _QUEUES:
        for value in (url, name):
            if isinstance(value, str) and "://" in value:
                section.setdefault("queue_url", value)
    elif system in _TOPICS and isinstance(name, str) and name.startswith("arn:"):
        section.setdefault("topic_arn", name)


def database(attributes: dict[str, Any]) -> tuple[str, Sql | None]:
    """(name on the map, `sql` section or None if the system does not speak SQL) of a database call."""
    system = _text(attributes, "db.system.name") or _text(attributes, "db.system")
    namespace = _text(attributes, "db.namespace") or _text(attributes, "db.name")
    host = _text(attributes, "server.address") or _text(attributes, "net.peer.name") or _text(attributes, "net.peer.ip")
    if system not in SQL_SYSTEMS:
        # Redis numbers its databases; "0" would say nothing.
        label = namespace if namespace and not namespace.isdigit() else system
        return (f"{label}@{host}" if host else label), None
    port = attributes.get("server.port") or attributes.get("net.peer.port")
    sql = Sql(
        database_type=system,
        url=f"{system}://{host}{f':{port}' if port else ''}/{namespace}" if host else "",
        user=_take(attributes, "db.user"),
        query=_take(attributes, "db.query.text") or _take(attributes, "db.statement"),
        connection_string=_take(attributes, "db.connection_string"),
    )
    for key in (
        "db.system.name",
        "db.system",
        "db.namespace",
        "db.name",
        "db.statement",
        "net.peer.name",
        "net.peer.port",
    ):
        attributes.pop(key, None)
    for key in ("server.address", "server.port"):
        attributes.pop(key, None)
    return (f"{namespace}@{host}" if namespace and host else namespace or host or system), sql


def remote_name(attributes: dict[str, Any], url: str) -> str:
    """The name of the other side of a remote call: RPC service, message destination, host; "" if nothing says."""
    if "rpc.system" in attributes or "rpc.system.name" in attributes:
        service = _text(attributes, "rpc.service")
        method = _text(attributes, "rpc.method")
        if not service and "/" in method:
            service = method.rpartition("/")[0]
        if service:
            return service
    if "messaging.system" in attributes:
        destination = _destination_name(attributes)
        if destination:
            return destination
    return address(attributes, url) or _text(attributes, "gen_ai.provider.name") or _text(attributes, "gen_ai.system")


def remote_service(attributes: dict[str, Any]) -> str:
    """What AWS's own distribution calls the other side, without its prefixes; taken out."""
    name = _take(attributes, "aws.remote.service")
    return name.removeprefix("AWS.SDK.").removeprefix("AWS::")


def _destination_name(attributes: dict[str, Any]) -> str:
    """The queue, topic or exchange. One that exists for a moment has a random name: then what broker it is on."""
    template = _text(attributes, "messaging.destination.template")
    if template:
        return template
    if any(attributes.get(key) is True for key in _MOMENTARY):
        host = address(attributes)
        system = _text(attributes, "messaging.system")
        return f"{system}@{host}" if host else system
    return _text(attributes, "messaging.destination.name") or _text(attributes, "messaging.destination")


def address(attributes: dict[str, Any], url: str = "") -> str:
    """`host`, or `host:port` if the port is not the scheme's default; "" if unknown. Takes nothing out."""
    scheme, separator, rest = url.partition("://")
    host: Any = attributes.get("server.address") or attributes.get("net.peer.name")
    port: Any = attributes.get("server.port") or attributes.get("net.peer.port")
    if not host and separator:
        for delimiter in "/?#":
            rest = rest.partition(delimiter)[0]
        host, port = rest.rpartition("@")[2], None
        default = ":443" if scheme == "https" else ":80"
        return str(host).removesuffix(default)
    if not host:
        host = (
            _text(attributes, "http.host")
            or _text(attributes, "network.peer.address")
            or _text(attributes, "net.peer.ip")
        )
    if not isinstance(host, str) or not host:
        return ""
    if not port or str(port) in (("443",) if scheme == "https" else ("80",) if separator else ("80", "443")):
        return host
    if host.endswith(f":{port}"):
        return host
    return f"[{host}]:{port}" if ":" in host and host[0] != "[" else f"{host}:{port}"


def _text(attributes: dict[str, Any], key: str) -> str:
    value = attributes.get(key)
    return value if value.__class__ is str else ""


def _take(attributes: dict[str, Any], key: str) -> str:
    value = attributes.get(key)
    if value.__class__ is not str:
        return ""
    del attributes[key]
    return str(value)
