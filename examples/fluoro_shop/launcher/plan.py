"""What the demo consists of: every process with its command, its surroundings and its sign of readiness."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fluoro_shop.launcher.child import Child, answers, listens, says
from fluoro_shop.launcher.ports import HOST, Ports

ACCOUNT, REGION = "123456789012", "us-east-1"  # moto's account
OTHERS_SETTINGS = ("AWS_", "FLUORO_", "OTEL_")  # prefixes of variables that stay outside: no real account is touched


@dataclass(frozen=True)
class Process:
    name: str
    command: list[str]
    env: dict[str, str]
    ready: Callable[[Child], bool]


@dataclass(frozen=True)
class Plan:
    """`base` goes first, then `shop`, then `load`: each needs what came before. URLs are for people."""

    base: list[Process]
    shop: list[Process]
    load: Process
    collector: str
    dashboard: str
    storefront: str


@dataclass(frozen=True)
class Wishes:
    """Preferred ports, requests a second, where the collector's data go."""

    dashboard_port: int
    http_port: int
    grpc_port: int
    xray_port: int
    shop_port: int
    rate: float
    data: Path


def make_plan(wishes: Wishes, work: Path, ports: Ports, environ: Mapping[str, str] = os.environ) -> Plan:
    """Claims the ports. `work` is where SQLite's file goes."""
    dashboard_port = ports.claim("the dashboard", wishes.dashboard_port)
    http_port = ports.claim("the collector (HTTP)", wishes.http_port)
    grpc_port = ports.claim("the collector (gRPC)", wishes.grpc_port)
    xray_port = ports.claim("the collector (X-Ray daemon)", wishes.xray_port)
    names = ["storefront", "catalog", "orders", "payment", "cloud"]
    port = {name: ports.claim(name, wishes.shop_port + place) for place, name in enumerate(names)}
    url = {name: f"http://{HOST}:{number}" for name, number in port.items()}
    collector = f"http://{HOST}:{http_port}"

    clean = {name: value for name, value in environ.items() if not name.startswith(OTHERS_SETTINGS)}
    clean.update(PYTHONUNBUFFERED="1", NO_PROXY=HOST, no_proxy=HOST)
    shop_env = clean | {
        "AWS_ENDPOINT_URL": url["cloud"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "STOREFRONT_URL": url["storefront"],
        "CATALOG_URL": url["catalog"],
        "ORDERS_URL": url["orders"],
        "PAYMENT_URL": url["payment"],
        "ORDERS_QUEUE_URL": f"{url['cloud']}/{ACCOUNT}/orders",
        "ORDER_EVENTS_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:order-events",
        "ORDER_BOOK": str(work / "orders.sqlite"),
        "SECRET_KEY": secrets.token_hex(),
    }
    traced_env = shop_env | {"FLUORO_ENDPOINT": collector, "FLUORO_ENVIRONMENT": "demo"}

    def python(*arguments: str) -> list[str]:
        return [sys.executable, "-m", *arguments]

    def traced(name: str, *command: str, ready: Callable[[Child], bool] | None = None) -> Process:
        """The one thing the shop needs to be seen: `fluoro run` in front of the command."""
        run = python("fluoro", "run", "--service", name, "--", *python(*command))
        return Process(name, run, traced_env, ready or listens(port[name]))

    def fastapi(name: str) -> Process:
        return traced(name, "uvicorn", f"fluoro_shop.{name}:app", "--host", HOST, "--port", str(port[name]))

    def flask(name: str) -> Process:
        return traced(name, "flask", "--app", f"fluoro_shop.{name}", "run", "--host", HOST, "--port", str(port[name]))

    doors = ["--http-port", str(http_port), "--grpc-port", str(grpc_port), "--xray-port", str(xray_port)]
    serve = python("fluoro", "serve", "--data", str(wishes.data), "--host", HOST, *doors)
    dashboard = python("fluoro", "dashboard", "--api", collector, "--host", HOST, "--port", str(dashboard_port))
    cloud = python("fluoro_shop.cloud", "--port", str(port["cloud"]))
    load = python("fluoro_shop.load", "--rate", str(wishes.rate))
    return Plan(
        base=[
            Process("collector", serve, clean, answers(f"{collector}/readyz")),
            Process("cloud", cloud, shop_env, says("furnished")),
            Process("dashboard", dashboard, clean, answers(f"http://{HOST}:{dashboard_port}/healthz")),
        ],
        shop=[
            fastapi("catalog"),
            flask("payment"),
            fastapi("orders"),
            flask("storefront"),
            traced("worker", "fluoro_shop.worker", ready=says("waiting for orders")),
        ],
        load=Process("load", load, shop_env, lambda _child: True),
        collector=collector,
        dashboard=f"http://{HOST}:{dashboard_port}",
        storefront=url["storefront"],
    )
