"""The shop by itself: the commands of the demo without `fluoro run` in front, against moto's server."""

import ast
import asyncio
import json
import os
import random
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from werkzeug.serving import make_server

import fluoro_shop
from demo_processes import PYTHONPATH, wait_for
from fluoro_shop import load
from fluoro_shop.assortment import SHELF, TEAS
from fluoro_shop.launcher.plan import Plan, Process, Wishes, make_plan
from fluoro_shop.launcher.ports import Ports
from fluoro_shop.launcher.supervisor import Supervisor

SHOP = Path(fluoro_shop.__file__).parent


def test_no_part_of_the_shop_imports_fluoro():
    for file in SHOP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in {"fluoro", "opentelemetry"}], file


@dataclass
class Shop:
    plan: Plan
    env: dict[str, str]

    def aws(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name=self.env["AWS_DEFAULT_REGION"],
            aws_access_key_id="demo",
            aws_secret_access_key="demo",
        )

    def visitor(self) -> httpx.Client:
        return httpx.Client(base_url=self.plan.storefront, follow_redirects=True, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    work = tmp_path_factory.mktemp("shop")
    ports = Ports(lambda _line: None)
    wishes = Wishes(18501, 14318, 14317, 12000, 18000, rate=5, data=work / "data")
    plan = make_plan(wishes, work, ports, {**os.environ, "PYTHONPATH": PYTHONPATH})

    def untraced(process: Process) -> Process:
        command = process.command
        return Process(process.name, command[command.index("--") + 1 :], process.env, process.ready)

    with Supervisor(work, None, print) as supervisor:
        cloud = next(process for process in plan.base if process.name == "cloud")
        for wave in [[cloud], [untraced(process) for process in plan.shop]]:
            children = [supervisor.start(each.name, each.command, each.env, each.ready) for each in wave]
            supervisor.wait_until_ready(children, 60)
        yield Shop(plan, plan.load.env)
    ports.release()


def buy(visitor: httpx.Client, sku: str) -> str:
    """The number of a paid order. The bank has moods, so a few tries are part of buying."""
    visitor.post("/cart", data={"sku": sku}).raise_for_status()
    for _ in range(30):
        page = visitor.post("/checkout", data={"customer": "Ada"})
        if page.status_code == 200:
            return str(page.url).rsplit("/", 1)[1]
        assert page.status_code in {402, 503}
        assert "Sorry, " in page.text
    raise AssertionError("thirty payments failed")


def test_pages(shop: Shop):
    with shop.visitor() as visitor:
        home = visitor.get("/").text
        assert [tea.name for tea in TEAS if tea.name not in home] == []
        assert "14.90 €" in visitor.get("/products/darjeeling").text
        picture = visitor.get("/products/darjeeling/picture")
        assert picture.headers["Content-Type"].startswith("image/svg+xml")
        assert "darjeeling" in picture.text
        assert "It is empty" in visitor.get("/cart").text
        assert str(visitor.post("/checkout", data={"customer": "Ada"}).url).endswith("/cart")  # nothing to pay


@pytest.mark.parametrize("path", ["/wp-login.php", "/products/coffee", "/products/coffee/picture", "/orders/none"])
def test_what_is_not_there_is_404(shop: Shop, path: str):
    with shop.visitor() as visitor:
        assert visitor.get(path).status_code == 404


def test_a_sale_goes_through_queue_and_worker(shop: Shop):
    with shop.visitor() as visitor:
        visitor.post("/cart", data={"sku": "oolong"})
        assert "39.80 €" in visitor.post("/cart", data={"sku": "oolong"}).text  # two of 19.90
        number = buy(visitor, "rooibos")
        page = visitor.get(f"/orders/{number}").text
        assert re.search(rf"order {number} is paid", page)
        assert "It is empty" in visitor.get("/cart").text
    s3, dynamodb, sqs = shop.aws("s3"), shop.aws("dynamodb"), shop.aws("sqs")

    def shipment() -> dict[str, Any]:
        found: dict[str, Any] = dynamodb.get_item(TableName="shipments", Key={"number": {"S": number}})
        return found

    wait_for(lambda: "Item" in shipment(), 20, "the worker packs the order")
    wait_for(lambda: s3.list_objects_v2(Bucket="shop-receipts", Prefix=number)["KeyCount"] == 1, 20, "a receipt")
    receipt = json.load(s3.get_object(Bucket="shop-receipts", Key=f"{number}.json")["Body"])
    assert receipt["total"] == 2 * 1990 + 650
    assert receipt["customer"] == "Ada"
    stock = dynamodb.get_item(TableName="products", Key={"sku": {"S": "oolong"}})["Item"]["stock"]["N"]
    assert int(stock) == SHELF - 2

    def left() -> set[str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        queue = shop.env["ORDERS_QUEUE_URL"]
        return set(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"].values())

    wait_for(lambda: left() == {"0"}, 20, "the queue is empty")


@pytest.fixture
def in_shop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a part of the shop: its modules can be imported."""
    for name, value in shop.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def test_an_empty_shelf_is_filled_again(shop: Shop, in_shop: None):
    from fluoro_shop import worker

    for _ in range(3):
        worker.take_off_shelf("lapsang", 10)
    stock = shop.aws("dynamodb").get_item(TableName="products", Key={"sku": {"S": "lapsang"}})["Item"]["stock"]["N"]
    assert int(stock) == SHELF - 10  # 15, 5, and then a new box


@pytest.fixture
def mood(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The moods of the bank to come, last first."""
    moods: list[str] = []
    monkeypatch.setattr(random, "choices", lambda _moods, _weights: [moods.pop()])
    return moods


@pytest.mark.parametrize(
    ("given", "status"), [("well", 201), ("slow", 201), ("declined", 402), ("busy", 429), ("broken", 500)]
)
def test_moods_of_the_bank(mood: list[str], given: str, status: int, monkeypatch: pytest.MonkeyPatch):
    from fluoro_shop import payment

    monkeypatch.setattr(random, "uniform", lambda low, _high: low / 100)
    mood.append(given)
    response = payment.app.test_client().post("/charges", json={"order": "1", "amount": 5})
    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (given == "busy")


@pytest.mark.parametrize(
    ("moods", "status"),
    [
        (["well"], 201),
        (["busy", "well"], 201),
        (["busy", "busy"], 503),
        (["declined"], 402),
        (["broken"], 503),
    ],
)
def test_orders_bears_the_moods(
    in_shop: None, mood: list[str], moods: list[str], status: int, monkeypatch: pytest.MonkeyPatch
):
    from fluoro_shop import orders, payment

    mood[:] = reversed(moods)
    bank = make_server("127.0.0.1", 0, payment.app, threaded=True)
    thread = threading.Thread(target=bank.serve_forever)
    thread.start()
    line = {"sku": "assam", "price": 850, "quantity": 1}

    async def place_order() -> httpx.Response:
        transport = httpx.ASGITransport(orders.app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://orders") as customer,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{bank.server_port}") as to_bank,
        ):
            monkeypatch.setattr(orders, "payment", to_bank)
            return await customer.post("/orders", json={"customer": "Ada", "lines": [line]})

    try:
        response = asyncio.run(place_order())
    finally:
        bank.shutdown()
        thread.join()
        bank.server_close()
    assert response.status_code == status
    assert mood == []


def test_the_function_of_the_shop_holds_large_orders():
    from fluoro_shop.fraud_check import handler

    assert handler({"total": 50_001}, None)["hold"]
    assert not handler({"total": 50_000}, None)["hold"]


def test_visits_come_at_the_wished_rate_and_in_rushes(monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr(load.time, "monotonic", lambda: now)
    monkeypatch.setattr(load.random, "expovariate", random.Random(1).expovariate)
    in_rush = visits = 0
    for pause in load.pauses(rate=13):
        visits += 1
        in_rush += now % load.RUSH_EVERY < load.RUSH_LASTS
        now += pause
        if now > 6000:
            break
    assert visits / now == pytest.approx(13 / load.PAGES_PER_VISIT, rel=0.05)
    share = load.RUSH_LASTS / load.RUSH_EVERY
    assert in_rush / visits == pytest.approx(3 * share / (3 * share + 1 - share), rel=0.1)
