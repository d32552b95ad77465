"""TraceSummary: every field that X-Ray fills, from what is stored."""

from __future__ import annotations

from typing import Any

from fluoro.model import Cause, ExceptionRecord, Kind, Resource, Segment
from fluoro_collector.api.xray.summary import trace_summary
from fluoro_collector.query.search.trace_facts import MOST, trace_facts
from fluoro_collector.query.trace.root_cause import root_causes
from fluoro_collector.store.store import Store
from query_store import BASE, SECOND

AT = BASE * SECOND
TRACE = BASE.to_bytes(4, "big") + b"s" * 12
EC2 = Resource(
    service_name="web",
    attributes={
        "cloud.account.id": "123456789012",
        "host.id": "i-0123456789abcdef0",
        "cloud.availability_zone": "eu-central-1a",
    },
)
ROW: dict[str, Any] = {
    "trace_id": TRACE,
    "began": AT,
    "lasted": 2 * SECOND,
    "service": "web",
    "origin": "AWS::EC2::Instance",
    "http_method": "GET",
    "http_url": "http://web/",
    "http_status": 500,
    "http_user_agent": "",
    "http_client_ip": "",
    "response_time": SECOND,
    "error": 0,
    "fault": 1,
    "any_throttle": 0,
    "partial": 0,
    "segments": 3,
    "nodes": [("web", "AWS::EC2::Instance", 16), ("orders", "AWS::DynamoDB::Table", 16)],
    "edges": [
        ("web", "client", "web", "AWS::EC2::Instance", 16),
        ("web", "AWS::EC2::Instance", "orders", "AWS::DynamoDB::Table", 16),
    ],
}


def summary(store: Store, **row: Any) -> dict[str, Any]:
    facts = trace_facts(store.engine, [TRACE], AT, AT + SECOND)[TRACE]
    causes = root_causes(store.engine, [TRACE], AT, AT + SECOND)[TRACE]
    return trace_summary({**ROW, **row}, facts, causes, 12.5)


def filled(store: Store) -> Store:
    cause = Cause([ExceptionRecord(type="ClientError", message="quota hit")])
    arn = "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0"
    root = Segment(
        TRACE, 1, 0, "web", AT, AT + SECOND, Kind.SERVER, fault=True, origin="AWS::EC2::Instance", resource_arn=arn
    )
    root.user, root.annotations = "bob", {"gift": True, "count": 3}
    unfinished = Segment(TRACE, 1, 0, "web", AT, 0, Kind.SERVER, in_progress=True, user="nobody")
    call = Segment(TRACE, 2, 1, "DynamoDB", AT, AT + SECOND // 4 * 3, Kind.CLIENT, True, "aws", fault=True, cause=cause)
    call.aws, call.annotations = {"table_name": "orders"}, {"gift": "true", "count": 3.0, "note": "late"}
    store.insert([(EC2, [root, call])])
    store.insert([(EC2, [unfinished])])
    return store


def test_every_field_is_filled(store: Store) -> None:
    found = summary(filled(store))
    web = {"Name": "web", "Names": ["web"], "Type": "AWS::EC2::Instance", "AccountId": "123456789012"}
    orders = {"Name": "orders", "Names": ["orders"], "Type": "AWS::DynamoDB::Table"}
    assert found["EntryPoint"] == web
    assert found["ServiceIds"] == [{"Name": "web", "Names": ["web"], "Type": "client"}, web, orders]
    assert found["Users"] == [{"UserName": "bob", "ServiceIds": [web]}]
    assert found["ResourceARNs"] == [{"ARN": "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0"}]
    assert found["InstanceIds"] == [{"Id": "i-0123456789abcdef0"}]
    assert found["AvailabilityZones"] == [{"Name": "eu-central-1a"}]
    assert found["MatchedEventTime"] == 12.5
    assert (found["Revision"], found["ResponseTime"], found["Duration"]) == (3, 1.0, 2.0)
    assert found["Http"] == {"HttpURL": "http://web/", "HttpStatus": 500, "HttpMethod": "GET"}
    assert found["FaultRootCauses"] == [
        {
            "ClientImpacting": True,
            "Services": [
                {
                    **web,
                    "Inferred": False,
                    "EntityPath": [
                        {"Name": "web", "Remote": False, "Exceptions": []},
                        {
                            "Name": "DynamoDB",
                            "Remote": True,
                            "Exceptions": [{"Name": "ClientError", "Message": "quota hit"}],
                        },
                    ],
                },
                {**orders, "Inferred": True, "EntityPath": [{"Name": "orders", "Remote": False, "Exceptions": []}]},
            ],
        }
    ]
    assert found["ErrorRootCauses"] == []
    [slow] = found["ResponseTimeRootCauses"]
    assert [entity for service in slow["Services"] for entity in service["EntityPath"]] == [
        {"Name": "web", "Remote": False, "Coverage": 1.0},
        {"Name": "DynamoDB", "Remote": True, "Coverage": 0.75},
        {"Name": "orders", "Remote": False, "Coverage": 0.75},
    ]


def test_annotations_are_one_entry_per_distinct_value(store: Store) -> None:
    annotations = summary(filled(store))["Annotations"]
    values = {key: [entry["AnnotationValue"] for entry in entries] for key, entries in annotations.items()}
    assert values == {
        "gift": [{"BooleanValue": True}],  # the text "true" of an annotation is stored as the boolean is
        "count": [{"NumberValue": 3.0}],
        "note": [{"StringValue": "late"}],
    }
    assert [each["Name"] for each in annotations["note"][0]["ServiceIds"]] == ["web"]


def test_a_row_without_edges_has_the_client_of_its_root(store: Store) -> None:
    found = summary(filled(store), edges=[])
    assert [each.get("Type") for each in found["ServiceIds"]] == [
        "client",
        "AWS::EC2::Instance",
        "AWS::DynamoDB::Table",
    ]


def test_a_trace_without_facts_has_empty_lists() -> None:
    found = trace_summary(ROW)
    names = ("ResourceARNs", "InstanceIds", "AvailabilityZones", "Users", "FaultRootCauses", "ResponseTimeRootCauses")
    assert [found[name] for name in names] == [[]] * len(names)
    assert found["Annotations"] == {}
    assert "MatchedEventTime" not in found


def test_the_facts_of_one_trace_are_bounded(store: Store) -> None:
    many = [
        Segment(TRACE, number, 0, "web", AT, AT + 1, annotations={f"key{number}-{each}": each for each in range(60)})
        for number in range(1, 201)
    ]
    store.insert([(EC2, many)])
    facts = trace_facts(store.engine, [TRACE], AT, AT + SECOND)[TRACE]
    assert MOST // 2 < len(facts.annotations) <= MOST
