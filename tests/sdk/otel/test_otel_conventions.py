"""Attributes that the golden files of the collector do not have: they come from instrumentations that run in the process."""

from __future__ import annotations

import pytest

from fluoro.model import Kind, Segment
from fluoro.otel.semantics import apply


def call(kind: Kind, attributes: dict[str, object], name: str = "call") -> Segment:
    segment = Segment(bytes(16), 1, 2, "", 5, 6, kind, kind not in (Kind.SERVER, Kind.CONSUMER))
    apply(segment, name, dict(attributes), "shop", False)
    return segment


@pytest.mark.parametrize(
    ("kind", "attributes", "name"),
    [
        (Kind.CLIENT, {"gen_ai.provider.name": "openai"}, "openai"),
        (Kind.CLIENT, {"gen_ai.system": "gemini", "server.address": "models.example"}, "models.example"),
        (Kind.CLIENT, {"aws.remote.service": "AWS::DynamoDB"}, "DynamoDB"),
        (Kind.CLIENT, {"aws.remote.service": "AWS.SDK.S3", "peer.service": "store"}, "store"),
        (Kind.PRODUCER, {"messaging.system": "kafka", "messaging.destination.name": "orders"}, "orders"),
        (Kind.PRODUCER, {"messaging.system": "kafka", "messaging.destination": "orders"}, "orders"),
        (
            Kind.PRODUCER,
            {"messaging.system": "x", "messaging.destination.name": "a-7", "messaging.destination.template": "a-{n}"},
            "a-{n}",
        ),
        (
            Kind.PRODUCER,
            {
                "messaging.system": "rabbitmq",
                "messaging.destination.name": "amq.gen-4711",
                "messaging.destination.anonymous": True,
                "server.address": "mq",
            },
            "rabbitmq@mq",
        ),
        (
            Kind.CLIENT,
            {"messaging.system": "pulsar", "messaging.destination.name": "t-1", "messaging.destination.temporary": True},
            "pulsar",
        ),
        (Kind.CLIENT, {"rpc.system": "grpc", "rpc.service": "shop.Prices", "server.address": "p"}, "shop.Prices"),
        (Kind.INTERNAL, {"db.system.name": "elasticsearch", "server.address": "es", "server.port": 9200}, "elasticsearch@es"),
        (Kind.CLIENT, {"db.system": "memcached", "net.peer.name": "cache"}, "memcached@cache"),
    ],
)  # fmt: skip
def test_whom_a_call_goes_to(kind, attributes, name):
    segment = call(kind, attributes)
    assert (segment.name, segment.namespace, segment.operation) == (name, "remote", "call")


def test_work_is_not_a_call():
    segment = call(
        Kind.INTERNAL, {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}, "invoke_agent clerk"
    )
    assert (segment.name, segment.namespace) == ("invoke_agent clerk", "")
    assert segment.annotations == {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}


def test_a_received_message():
    attributes = {"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.kafka.offset": 7}
    segment = call(Kind.CONSUMER, attributes, "orders process")
    assert (segment.name, segment.subsegment, segment.operation) == ("shop", False, "orders process")
    assert segment.annotations == attributes


def test_the_account_that_was_called():
    attributes = {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "PutObject",
        "cloud.account.id": "123456789012",
    }
    segment = call(Kind.CLIENT, attributes)
    assert segment.aws == {"operation": "PutObject", "account_id": "123456789012"}
