"""A traced process, the real collector, and each way between them: what was recorded can be read back through X-Ray's API."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import boto3
import pytest

from collector_process import Collector, environment, start_collector

PROGRAM = """
import time, fluoro
from fluoro.model import Kind
from fluoro.recorder import recorder
fluoro.install()
deadline = time.monotonic() + 30
while True:
    with recorder.begin_segment("GET", method="GET", url="http://shop.com/orders/7") as entry:
        with recorder.begin("payments.com", "POST", Kind.CLIENT, "remote"):
            fluoro.annotate("ok", True)
    if entry.trace.decision.rule:  # the collector's own rule: it has been asked
        break
    assert time.monotonic() < deadline
    time.sleep(0.01)
with recorder.begin("outside.com", "GET", Kind.CLIENT, "remote") as call:
    pass
assert fluoro.flush(20)
statistics = fluoro.statistics()
assert not statistics["dropped"] and not statistics["rejected"], statistics
for span in (entry, call):
    text = span.segment.trace_id.hex()
    print(f"1-{text[:8]}-{text[8:]}")
"""


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with start_collector(tmp_path_factory.mktemp("transports") / "data") as running:
        yield running


@pytest.mark.parametrize("scheme", ["http", "grpc", "udp", "daemon"])
def test_what_was_recorded_is_read_back(collector, scheme):
    settings = {
        "http": {"FLUORO_ENDPOINT": collector.http},
        "grpc": {"FLUORO_ENDPOINT": f"grpc://{collector.grpc}", "FLUORO_SAMPLING_ENDPOINT": collector.http},
        "udp": {"FLUORO_ENDPOINT": f"udp://{collector.xray}"},
        "daemon": {"AWS_XRAY_DAEMON_ADDRESS": collector.xray},
    }[scheme]
    env = environment(FLUORO_SERVICE_NAME=f"shop-{scheme}", AWS_EC2_METADATA_DISABLED="true", **settings)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    entry_id, call_id = done.stdout.split()
    xray = boto3.client(
        "xray", endpoint_url=collector.http, region_name="r", aws_access_key_id="a", aws_secret_access_key="b"
    )

    def traces() -> dict[str, list[dict[str, object]]] | None:
        found = xray.batch_get_traces(TraceIds=[entry_id, call_id])["Traces"]
        documents = {trace["Id"]: [json.loads(segment["Document"]) for segment in trace["Segments"]] for trace in found}
        return documents if len(documents) == 2 else None

    read = collector.wait_for(traces)
    xray.close()
    [entry] = [document for document in read[entry_id] if document["name"] == f"shop-{scheme}"]
    assert entry["aws"]["xray"]["sampling_rule_name"] == "Default"
    assert entry["aws"]["xray"]["sdk"] == "fluoro"
    assert [(child["name"], child["annotations"]) for child in entry["subsegments"]] == [("payments.com", {"ok": True})]
    assert "outside.com" in json.dumps(read[call_id])
