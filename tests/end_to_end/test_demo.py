"""`fluoro demo` as a person meets it: one command, a map that moves, a trace from the page to the parcel, ctrl-C."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from demo_processes import PYTHONPATH, marked, wait_for

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
expect.set_options(timeout=60_000)  # of a machine with other work
HEALTHY_WITHIN = 90  # seconds from the command to the legend
SERVICES = ["storefront", "catalog", "orders", "payment", "worker"]

pytestmark = pytest.mark.timeout(240)


@dataclass
class Demo:
    """A demo of its own: own ports, own mark in the environment of all its processes."""

    process: subprocess.Popen[bytes]
    output: Path
    mark: str
    healthy_after: float = 0.0
    found: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def until_healthy(self) -> None:
        begin = time.monotonic()

        def healthy() -> bool:
            assert self.process.poll() is None, self.text
            return "Ctrl-C stops everything" in self.text

        wait_for(healthy, HEALTHY_WITHIN, f"healthy; so far:\n{self.text}")
        self.healthy_after = time.monotonic() - begin
        for name in ["Service map", "The tea shop", "Collector", "Logs"]:
            found = re.search(rf"^  {name} +(\S+)", self.text, re.MULTILINE)
            assert found, self.text
            self.found[name] = found[1]

    def get(self, path: str, **query: object) -> Any:
        """From the collector's query API."""
        url = f"{self.found['Collector']}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as response:
            return json.load(response)

    def graph(self) -> dict[str, Any]:
        now = time.time()
        graph: dict[str, Any] = self.get("/api/service-graph", start=now - 600, end=now)
        return graph

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def start_demo(directory: Path, *flags: str) -> Demo:
    mark = f"DEMO_MARK={uuid.uuid4()}"
    name, value = mark.split("=")
    env = {**os.environ, "PYTHONPATH": PYTHONPATH, name: value}
    output = directory / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "fluoro", "demo", *flags], env=env, stdout=file, stderr=file, start_new_session=True
        )
    return Demo(process, output, mark)


def free_ports() -> list[str]:
    """Flags with ports that nobody uses, away from the usual ones, so that a demo of a person is not disturbed.

    Below the range from which the system gives ports to clients: a connection of the demo itself could take one there.
    """
    flags = []
    for flag in ["--dashboard-port", "--http-port", "--grpc-port", "--xray-port", "--shop-port"]:
        while True:
            port = random.randrange(20_000, 32_000, 10)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                break
        flags += [flag, str(port)]
    return flags


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = start_demo(tmp_path_factory.mktemp("demo"), "--rate", "20", *free_ports())
    try:
        demo.until_healthy()
        yield demo
    finally:
        demo.stop()
    assert marked(demo.mark) == []


def by_kind(graph: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (node["name"].rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1], node["type"]): node for node in graph["nodes"]
    }


EXPECTED = {
    ("storefront", "client"),
    *((name, "") for name in SERVICES),
    ("products", "AWS::DynamoDB::Table"),
    ("shipments", "AWS::DynamoDB::Table"),
    ("orders", "AWS::SQS::Queue"),
    ("order-events", "AWS::SNS::Topic"),
    ("shop-pictures", "AWS::S3::Bucket"),
    ("shop-receipts", "AWS::S3::Bucket"),
    ("fraud-check", "AWS::Lambda::Function"),
    ("orders.sqlite", "Database::SQL"),
}


def test_is_healthy_in_time_and_says_where_to_look(demo: Demo):
    assert demo.healthy_after < HEALTHY_WITHIN
    for name in [*SERVICES, "cloud", "collector", "dashboard"]:
        assert re.search(rf"^{name} +ready after", demo.text, re.MULTILINE), name
    assert Path(demo.found["Logs"], "storefront.log").exists()
    with urllib.request.urlopen(demo.found["The tea shop"], timeout=20) as page:
        assert "Darjeeling First Flush" in page.read().decode()
    with urllib.request.urlopen(demo.found["Service map"], timeout=20) as page:
        assert page.status == 200


def test_the_map_has_every_part_of_the_shop(demo: Demo):
    wait_for(lambda: by_kind(demo.graph()).keys() >= EXPECTED, 60, f"on the map: {EXPECTED}")

    def edges() -> set[tuple[str, str, str]]:
        graph = demo.graph()
        names = {node["id"]: key for key, node in by_kind(graph).items()}
        return {
            (names[edge["source"]][0], names[edge["target"]][0], edge["kind"])
            for edge in graph["edges"]
            if edge["source"] in names and edge["target"] in names
        }

    wanted = {
        ("storefront", "catalog", "sync"),
        ("storefront", "orders", "sync"),
        ("orders", "payment", "sync"),
        ("orders", "orders", "sync"),  # to the queue of that name
        ("orders", "worker", "link"),  # the queue's
        ("orders", "order-events", "sync"),
        ("orders", "fraud-check", "sync"),
        ("orders", "orders.sqlite", "sync"),
        ("catalog", "products", "sync"),
        ("catalog", "shop-pictures", "sync"),
        ("worker", "shipments", "sync"),
        ("worker", "shop-receipts", "sync"),
    }
    wait_for(lambda: edges() >= wanted, 60, f"lines on the map: {wanted}")

    def entries() -> set[str]:
        return {edge["target"] for edge in demo.graph()["edges"] if edge["source"].endswith("|client")}

    # People come in by the front door only. (While a trace is on its way its head may be missing, for moments.)
    wait_for(lambda: entries() == {"storefront|"}, 60, "clients call storefront and nothing else")


def test_the_figures_move(demo: Demo):
    before = by_kind(demo.graph())

    def moved() -> bool:
        now = by_kind(demo.graph())
        keys = [(name, "") for name in SERVICES] + [("orders", "AWS::SQS::Queue"), ("products", "AWS::DynamoDB::Table")]
        return all(now[key]["total"] > before.get(key, {"total": 0})["total"] for key in keys)

    wait_for(moved, 60, "every service and resource has more requests than before")


def test_some_payments_fail_in_every_way(demo: Demo):
    """With some help: the public alone needs minutes to meet every mood of the bank."""

    def buy(_number: int) -> None:
        with httpx.Client(base_url=demo.found["The tea shop"], timeout=60, trust_env=False) as customer:
            customer.post("/cart", data={"sku": "rooibos"})
            customer.post("/checkout", data={"customer": "Grace"})

    def troubled() -> bool:
        with ThreadPoolExecutor(4) as customers:
            list(customers.map(buy, range(24)))
        node = by_kind(demo.graph()).get(("payment", ""), {})
        return all(node.get(outcome) for outcome in ["ok", "error", "throttle", "fault"])

    wait_for(troubled, 200, "payments that succeed, are declined, throttled and broken")


def checkout(demo: Demo) -> dict[str, Any]:
    """A trace that came out of the queue."""
    found: list[dict[str, Any]] = []

    def search() -> bool:
        now = time.time()
        answer = demo.get("/api/traces", start=now - 600, end=now, limit=200, filter='service("worker")')
        found[:] = [trace for trace in answer["traces"] if "storefront" in trace["services"]]
        return bool(found)

    wait_for(search, 60, "a trace from storefront to worker")
    trace: dict[str, Any] = demo.get(f"/api/traces/{found[-1]['id']}")
    return trace


def test_a_trace_crosses_five_processes_and_the_queue(demo: Demo):
    trace = checkout(demo)
    segments = trace["segments"]
    chain = []
    at = next(place for place, each in enumerate(segments) if each["name"] == "worker" and each["type"] == "segment")
    while at >= 0:
        chain.append(segments[at]["name"])
        at = segments[at]["parent"]
    hosts = [name for name in chain if name.startswith("127.0.0.1")]
    assert [name for name in chain if name not in hosts] == ["worker", "SQS", "orders", "storefront"]
    assert {"storefront", "catalog", "orders", "payment", "worker"} <= {each["service"] for each in segments}
    operations = {each["operation"] for each in segments if each["service"] == "orders" and each["namespace"]}
    assert {"Invoke", "SendMessage", "Publish"} <= operations
    assert any(each["sql"] for each in segments)


def test_a_second_demo_says_which_ports_are_taken_and_ctrl_c_ends_it(demo: Demo, tmp_path: Path):
    first = urllib.parse.urlsplit(demo.found["Collector"]).port
    data = tmp_path / "traces"
    second = start_demo(tmp_path, *free_ports(), "--http-port", str(first), "--data", str(data))
    try:
        second.until_healthy()
        assert re.search(rf"^port {first} is taken: the collector \(HTTP\) goes to \d+", second.text, re.MULTILINE)
        assert second.found["Collector"] != demo.found["Collector"]
        wait_for(lambda: ("storefront", "") in by_kind(second.graph()), 60, "the second demo's own map")
        work = Path(second.found["Logs"]).parent
        assert work.exists()
        assert len(marked(second.mark)) >= 10
    finally:
        status = second.stop()
    assert status == 0
    assert "Stopped. Nothing is left running." in second.text
    assert marked(second.mark) == []
    assert not work.exists()
    assert any(data.iterdir())  # was wished for, so it stays
    assert ("storefront", "") in by_kind(demo.graph())  # the first one goes on


def test_kill_9_leaves_nothing(tmp_path: Path):
    demo = start_demo(tmp_path, *free_ports())
    demo.until_healthy()
    demo.process.kill()
    demo.process.wait(10)
    wait_for(lambda: marked(demo.mark) == [], 20, "no process is left")
    assert not Path(demo.found["Logs"]).exists()


def test_a_part_that_cannot_start_is_reported_with_its_log(tmp_path: Path):
    """Here the collector: its directory is a file."""
    demo = start_demo(tmp_path, *free_ports(), "--data", str(tmp_path / "output"))
    assert demo.process.wait(HEALTHY_WITHIN) == 1
    assert "fluoro demo: collector ended with status 1. The end of its log:\n" in demo.text
    assert "output cannot be the data directory: File exists" in demo.text
    logs = re.search(r"^All logs are kept in (\S+)", demo.text, re.MULTILINE)
    assert logs, demo.text
    assert Path(logs[1], "collector.log").exists()
    assert marked(demo.mark) == []
    shutil.rmtree(Path(logs[1]).parent)


@pytest.mark.browser
def test_walk_from_the_map_to_a_segment(demo: Demo):
    """Map → node → its traces → a trace → a segment, and every page is where its URL says."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(demo.found["Service map"])
        for name in SERVICES:
            expect(page.locator(f"[data-node='{name}|']")).to_be_visible()

        page.locator("[data-node='worker|'] .disc").click()
        expect(page.locator("[data-node='worker|']")).to_have_attribute("aria-pressed", "true")
        expect(page.get_by_role("heading", name="worker")).to_be_visible()
        page.get_by_role("link", name="View traces").click()

        page.wait_for_url("**/traces?**service%28%22worker%22%29**")
        pick_trace(page, "storefront")
        opened = page.get_by_role("link", name="Open storefront")
        expect(opened).to_contain_text("/checkout")
        opened.click()

        page.wait_for_url("**/trace?**")
        rows = page.get_by_role("treeitem")
        expect(rows.first).to_have_attribute("aria-level", "1")
        for name in ["storefront", "orders", "payment", "worker"]:
            expect(page.get_by_role("treeitem", name=re.compile(rf"^{name} ")).first).to_be_visible()
        segment = page.get_by_role("treeitem", name=re.compile("^worker "))
        segment.click()
        expect(segment).to_have_attribute("aria-selected", "true")
        span = segment.get_attribute("data-span")
        expect(page.locator(f".inspector[data-key='{span}']")).to_contain_text("worker")
        page.wait_for_url(f"**segment={span}**")
        page.reload()  # the URL is all it takes to come back
        expect(page.locator(f".inspector[data-key='{span}']")).to_contain_text("worker")
        browser.close()
    assert complaints == []


def pick_trace(page: Page, service: str) -> None:
    """Tick the first row whose trace began in `service`. The table is a canvas with a hidden table of the same text; it
    may be drawn anew between the look and the click: then look again."""
    table = page.get_by_test_id("stDataFrame")
    opened = page.get_by_role("link", name=f"Open {service}")
    height = page.evaluate("2.1875 * parseFloat(getComputedStyle(document.documentElement).fontSize)")  # of a row
    deadline = time.monotonic() + 60
    while not opened.is_visible():
        assert time.monotonic() < deadline, f"no trace of {service} could be picked"
        table.locator("[role=row]").nth(1).wait_for(state="attached")
        rows = table.locator("[role=row]").all_inner_texts()  # the first one is the header
        place = next((index for index, text in enumerate(rows) if service in text), None)
        if place is not None:
            table.locator(".dvn-scroller").click(position={"x": 16, "y": height * (place + 0.5)})
            with contextlib.suppress(AssertionError):
                expect(opened).to_be_visible(timeout=5000)
