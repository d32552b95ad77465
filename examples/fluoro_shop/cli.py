"""`fluoro demo`: the shop, AWS on this machine, a collector and the dashboard; one command, one ctrl-C."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

from fluoro_shop.launcher.plan import Plan, Wishes, make_plan
from fluoro_shop.launcher.ports import Ports
from fluoro_shop.launcher.supervisor import ChildError, InterruptedByUserError, Supervisor

NEEDED = ("boto3", "chdb", "fastapi", "flask", "httpx", "moto", "requests", "streamlit", "uvicorn")
READY_WITHIN = 90.0  # seconds

LEGEND = """
  Service map    {dashboard}
  The tea shop   {storefront}   buy something and find it on the map
  Collector      {collector}   your own app can join: FLUORO_ENDPOINT={collector} fluoro run python app.py

What to look at
  The map        Clients -> storefront -> catalog, orders -> payment; behind them DynamoDB, S3, SQLite, Lambda, SNS
                 and the queue of the worker. Nothing in the shop imports fluoro: each part is started by `fluoro run`.
  The trouble    payment is declined (402), throttled (429), slow or failing (500) every now and then.
                 Click it: its shares, its latencies, its traces. Follow the red from there up to storefront.
  The queue      Click worker, open one of its traces: one POST /checkout goes through storefront, orders and payment,
                 then through SQS to the worker, which files the receipt.
  The crawler    storefront's 404s come from somebody looking for /wp-login.php.

  Logs           {logs}
  Ctrl-C stops everything.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run a small shop of real services and watch its traffic on the service map."
    parser.epilog = "A port that is taken is replaced by a free one."
    parser.add_argument("--rate", type=_rate, default=6.0, metavar="N", help="page requests a second (default: 6)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the traces here (default: removed at the end)")
    for flag, port, use in [
        ("--dashboard-port", 8501, "dashboard"),
        ("--http-port", 4318, "collector, HTTP"),
        ("--grpc-port", 4317, "collector, gRPC"),
        ("--xray-port", 2000, "collector, X-Ray daemon protocol"),
        ("--shop-port", 8000, "storefront; the shop takes this one and the next four"),
    ]:
        parser.add_argument(flag, type=_port, default=port, metavar="PORT", help=f"{use} (default: {port})")


def main(args: argparse.Namespace) -> int:
    """0 after ctrl-C or SIGTERM, 1 when a process did not start or died. Raises ModuleNotFoundError."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        # Before anything is started; the command `fluoro` turns it into the pip line.
        raise ModuleNotFoundError(f"not installed: {', '.join(missing)}", name=missing[0])
    work = Path(tempfile.mkdtemp(prefix="fluoro-demo-"))
    logs = work / "logs"
    logs.mkdir()
    ports = Ports(_say)
    try:
        with Supervisor(logs, work, _say) as supervisor:
            try:
                _say("Starting the demo")
                plan = make_plan(_wishes(args, work), work, ports)
                _start(supervisor, plan)
                _say(
                    LEGEND.format(
                        dashboard=plan.dashboard, storefront=plan.storefront, collector=plan.collector, logs=logs
                    )
                )
                supervisor.watch()
            except ChildError as error:
                supervisor.keep()
                _report(error, logs)
                return 1
            except InterruptedByUserError:
                _say("\nStopping")
    finally:
        ports.release()
    _say("Stopped. Nothing is left running." + (f" The traces are in {args.data}." if args.data else ""))
    return 0


def _start(supervisor: Supervisor, plan: Plan) -> None:
    base = [supervisor.start(each.name, each.command, each.env, each.ready) for each in plan.base]
    supervisor.wait_until_ready(base, READY_WITHIN)
    shop = [supervisor.start(each.name, each.command, each.env, each.ready) for each in plan.shop]
    supervisor.wait_until_ready(shop, READY_WITHIN)
    supervisor.start(plan.load.name, plan.load.command, plan.load.env, plan.load.ready)


def _report(error: ChildError, logs: Path) -> None:
    print(f"\nfluoro demo: {error}. The end of its log:", file=sys.stderr)
    for line in error.child.last_lines():
        print(f"  {line}", file=sys.stderr)
    print(f"All logs are kept in {logs}", file=sys.stderr)


def _wishes(args: argparse.Namespace, work: Path) -> Wishes:
    return Wishes(
        dashboard_port=args.dashboard_port,
        http_port=args.http_port,
        grpc_port=args.grpc_port,
        xray_port=args.xray_port,
        shop_port=args.shop_port,
        rate=args.rate,
        data=(args.data or work / "data").absolute(),
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535)")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a rate (requests a second, up to 1000)")
    return rate
