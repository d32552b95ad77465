"""The same program with the AWS X-Ray SDK and with fluoro's: what it prints, and what arrives at the daemon, is the same.

Left out of the comparison are ids and times; what each SDK says of itself (`service`, `aws.xray`, the operation in
`metadata.fluoro`); the SDK's namespace "local", which means none; and of a cause all but the messages and the last part
of the types: fluoro records the whole chain with qualified names. The original sends an unsampled subsegment inside its sampled
segment, under an id of zeros; fluoro does not send it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import fluoro
import xray_scripts
from xray_scripts import SCRIPTS

SDK = str(Path(fluoro.__file__).parents[1])
FLUORO, ORIGINAL = "fluoro.compat.aws_xray_sdk", "aws_xray_sdk"

Outcome = tuple[str, list[dict[str, Any]]]  # what was printed, the documents that arrived


def run(package: str, directory: Path) -> dict[str, Outcome]:
    """All programs with `package`, each with a daemon of its own."""
    with ExitStack() as open_sockets:
        daemons = {
            name: open_sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for name in SCRIPTS
        }
        for daemon in daemons.values():
            daemon.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            daemon.bind(("127.0.0.1", 0))
            daemon.setblocking(False)
        ports = {name: daemon.getsockname()[1] for name, daemon in daemons.items()}
        env = {key: value for key, value in os.environ.items() if not key.startswith(("FLUORO_", "AWS_", "OTEL_"))}
        done = subprocess.run(
            [sys.executable, xray_scripts.__file__, package, directory, json.dumps(ports)],
            env=env | {"PYTHONPATH": SDK}, cwd=directory, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return {name: ((directory / name).read_text(), received(daemon)) for name, daemon in daemons.items()}


def received(daemon: socket.socket) -> list[dict[str, Any]]:
    """The sender has ended, so all that it sent to loopback is here."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            found.append(json.loads(daemon.recv(65_536).partition(b"\n")[2]))
        except BlockingIOError:
            return found


@pytest.fixture(scope="module")
def with_fluoro(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return run(FLUORO, tmp_path_factory.mktemp("fluoro"))


@pytest.fixture(scope="module")
def with_original(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return run(ORIGINAL, tmp_path_factory.mktemp("original"))


def flat(document: dict[str, Any], parent: str | None = None) -> list[dict[str, Any]]:
    """`document` and what is nested in it."""
    below = document.pop("subsegments", [])
    document.setdefault("parent_id", parent)
    return [document] + [each for child in below for each in flat(child, document["id"])]


def cause(document: dict[str, Any], recorded: dict[str, str]) -> str | None:
    found = document.get("cause")
    if isinstance(found, dict):
        first = found["exceptions"][0]
        return f"{first['type'].rpartition('.')[2]}: {first.get('message')}"
    return None if found is None else recorded[found]


def normal(documents: list[dict[str, Any]]) -> list[str]:
    """One line for each entity, in an order that does not depend on ids."""
    every = [entity for document in documents for entity in flat(document)]
    entities = [entity for entity in every if entity["id"] != "0" * 16]
    by_id = {entity["id"]: entity for entity in entities}
    recorded = {
        record["id"]: f"{record['type'].rpartition('.')[2]}: {record.get('message')}"
        for entity in entities
        if isinstance(entity.get("cause"), dict)
        for record in entity["cause"]["exceptions"]
    }

    def path(entity: dict[str, Any]) -> str:
        above = by_id.get(entity["parent_id"])
        return (path(above) + " > " if above else f"{entity['parent_id']} > ") + str(entity["name"])

    lines = []
    for entity in entities:
        metadata = {key: value for key, value in entity.get("metadata", {}).items() if key != "fluoro"}
        aws = dict(entity.get("aws", {}))
        rule = aws.pop("xray", {}).get("sampling_rule_name")
        http = entity.get("http", {})
        lines.append(
            json.dumps(
                {
                    "path": path(entity),
                    "type": entity.get("type") if by_id.get(entity["parent_id"]) is None else "nested",
                    "namespace": {"local": None}.get(entity.get("namespace", "local"), entity.get("namespace")),
                    "flags": [flag for flag in ("error", "fault", "throttle") if entity.get(flag)],
                    "annotations": entity.get("annotations", {}),
                    "metadata": metadata,
                    "http": {key: section for key, section in http.items() if section},
                    "sql": entity.get("sql"),
                    "aws": aws,
                    "rule": rule,
                    "user": entity.get("user"),
                    "cause": cause(entity, recorded),
                    "ended": "end_time" in entity,
                    "one trace": len({each["trace_id"] for each in entities if "trace_id" in each}),
                },
                sort_keys=True,
            )
        )
    return sorted(lines)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_same_program_prints_and_sends_the_same(name, with_fluoro, with_original):
    printed, sent = with_fluoro[name]
    as_printed, as_sent = with_original[name]
    assert printed == as_printed
    assert normal(sent) == normal(as_sent)
    assert sent or name == "missing context"
