import json

from dashboard import fake_api
from fluoro_dashboard import map_data


def test_the_payload_is_the_same_bytes_for_the_same_rates():
    first = map_data.payload(fake_api.shop(0, 3600), layout="1h")
    graph = fake_api.shop(5, 3605)
    graph["nodes"].reverse()
    graph["edges"].reverse()
    assert json.dumps(first) == json.dumps(map_data.payload(graph, layout="1h"))


def test_shares_and_rate():
    payload = map_data.payload(fake_api.shop(0, 3600), layout="1h")
    orders = next(node for node in payload["nodes"] if node["name"] == "orders")
    assert orders["rate"] == 22
    assert abs(sum(orders["shares"]) - 1) < 0.001
    client = next(node for node in payload["nodes"] if node["type"] == "client")
    assert client["avg"] is None
    assert client["shares"] == [0, 0, 0, 0]


def test_an_edge_to_nowhere_is_left_out():
    graph = fake_api.shop(0, 60)
    graph["edges"][0]["target"] = "gone|"
    assert len(map_data.payload(graph, layout="x")["edges"]) == len(graph["edges"]) - 1


def test_requests_enter_once():
    graph = fake_api.shop(0, 3600)
    assert map_data.overview(graph)["total"] == 84 * 3600
    assert map_data.overview(graph)["services"] == 7


def test_the_ranking_starts_with_what_fails_most():
    assert [node["name"] for node in map_data.ranking(fake_api.shop(0, 3600))][:3] == [
        "payments",
        "api.cardgate.example",
        "orders",
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
