import json

import pytest

from dashboard import fake_api
from fluoro_dashboard import map_data


def payload(graph, layout="1h"):
    return map_data.payload(graph, map_data.covered(graph, graph["end"]), layout=layout)


def test_the_payload_is_the_same_bytes_for_the_same_rates():
    first = payload(fake_api.shop(0, 3600))
    graph = fake_api.shop(5, 3605)
    graph["nodes"].reverse()
    graph["edges"].reverse()
    assert json.dumps(first) == json.dumps(payload(graph))


def test_shares_and_rate():
    sent = payload(fake_api.shop(0, 3600))
    orders = next(node for node in sent["nodes"] if node["name"] == "orders")
    assert orders["rate"] == 22
    assert abs(sum(orders["shares"]) - 1) < 0.001
    client = next(node for node in sent["nodes"] if node["type"] == "client")
    assert client["avg"] is None
    assert client["shares"] == [0, 0, 0, 0]


def test_an_edge_to_nowhere_is_left_out():
    graph = fake_api.shop(0, 60)
    graph["edges"][0]["target"] = "gone|"
    assert len(payload(graph)["edges"]) == len(graph["edges"]) - 1


def test_requests_enter_once():
    graph = fake_api.shop(0, 3600)
    assert map_data.overview(graph)["total"] == 84 * 3600
    assert map_data.overview(graph)["services"] == 7


def test_the_ranking_starts_with_what_fails_most():
    graph = fake_api.shop(0, 3600)
    rows = map_data.ranking(graph, map_data.covered(graph, 3600))
    assert [row["name"] for row in rows][:3] == ["payments", "api.cardgate.example", "orders"]
    assert rows[2]["rate"] == 22
    assert rows[2]["label"] == "service"
    assert "client" not in {row["type"] for row in rows}


@pytest.mark.parametrize(
    ("since", "end", "seconds", "note"),
    [
        (0, 3600, 3600, ""),
        (3360, 3600, 240, "Rates over the 4 min that have data."),
        (3595, 3600, 60, "Rates over the 1 min that have data."),  # never less than a minute
        (-60, 3600, 3600, ""),
        (3300, 3570, 270, "Rates over the 4 min that have data."),  # the last minute is not over
        (None, 3600, 3600, ""),
    ],
)
def test_rates_are_over_the_time_that_has_data(since, end, seconds, note):
    graph = {"start": 0.0, "end": 3600.0, "since": since}
    assert map_data.covered(graph, end) == (seconds, note)


def test_a_collector_that_does_not_tell_since_when_it_has_data():
    assert map_data.covered({"start": 0, "end": 900}, 900) == (900, "")


def test_a_young_system_has_the_rate_it_has():
    graph = {**fake_api.shop(3360, 3600), "start": 0, "since": 3360}
    sent = payload(graph)
    assert next(node for node in sent["nodes"] if node["name"] == "orders")["rate"] == 22
    assert next(edge for edge in sent["edges"] if edge["to"] == "payments")["rate"] == 20
    assert sent["note"] == "Rates over the 4 min that have data."


def test_the_callers_from_outside_are_no_second_storefront():
    sent = payload(fake_api.shop(0, 3600))
    [client] = [node for node in sent["nodes"] if node["type"] == "client"]
    assert client["short"] == "Clients"
    assert client["name"] == "Clients of storefront"
    assert [(edge["from"], edge["to"]) for edge in sent["edges"] if edge["source"] == client["id"]] == [
        ("Clients", "storefront")
    ]


def test_type_labels():
    assert map_data.type_label("") == "service"
    assert map_data.type_label("AWS::DynamoDB::Table") == "DynamoDB table"
    assert map_data.type_label("AWS::ECS::Container") == "ECS container"
    assert map_data.type_label("Odd") == "Odd"


def test_short_names_of_resources():
    assert (
        map_data.short_name("https://sqs.eu-central-1.amazonaws.com/123/order-mail", "AWS::SQS::Queue") == "order-mail"
    )
    assert map_data.short_name("arn:aws:sns:eu-central-1:123:events", "AWS::SNS::Topic") == "events"
    assert map_data.short_name("https://x/y", "remote") == "https://x/y"
