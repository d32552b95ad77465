"""X-Ray's two sampling operations over real HTTP, by the documented algorithm, for tests. It is not AWS: quotas are
split among the clients heard of in the last two intervals, by what each asked for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INTERVAL_S = 10


class SamplingServer:
    """`clock` gives epoch seconds. `broken` answers everything with that status."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.rules: dict[str, dict[str, Any]] = {}
        self.modified = 0.0
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.reports: list[dict[str, Any]] = []
        self.boosts: list[dict[str, Any]] = []
        self.boost: dict[str, Any] = {}
        self.page_size = 100
        self.broken = 0
        self.url = ""
        self._seen: dict[str, dict[str, tuple[float, int]]] = {}  # rule → client → (when, its requests)

    def put(self, name: str, **changes: Any) -> None:
        """Make or change a rule."""
        rule = {
            "RuleName": name,
            "RuleARN": f"arn:aws:xray:eu-west-1:123456789012:sampling-rule/{name}",
            "ResourceARN": "*",
            "Priority": 10_000,
            "FixedRate": 0.05,
            "ReservoirSize": 1,
            "ServiceName": "*",
            "ServiceType": "*",
            "Host": "*",
            "HTTPMethod": "*",
            "URLPath": "*",
            "Version": 1,
            "Attributes": {},
        }
        self.rules[name] = {**rule, **self.rules.get(name, {}), **changes}
        self.modified = self.clock()

    def asked(self, path: str) -> int:
        return sum(each == path for each, _ in self.requests)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.requests.append((path, body))
        return self._rules(body) if path == "/GetSamplingRules" else self._targets(body)

    def _rules(self, body: dict[str, Any]) -> dict[str, Any]:
        first = int(body.get("NextToken", 0))
        records = [
            {"SamplingRule": rule, "CreatedAt": 0.0, "ModifiedAt": self.modified} for rule in self.rules.values()
        ]
        following = first + self.page_size
        answer: dict[str, Any] = {"SamplingRuleRecords": records[first:following]}
        return answer | ({"NextToken": str(following)} if following < len(records) else {})

    def _targets(self, body: dict[str, Any]) -> dict[str, Any]:
        now = self.clock()
        documents = body["SamplingStatisticsDocuments"]
        assert len(documents) <= 25
        self.reports += documents
        self.boosts += body.get("SamplingBoostStatisticsDocuments", [])
        targets, unprocessed = [], []
        for document in documents:
            name = document["RuleName"]
            assert len(document["ClientID"]) == 24
            rule = self.rules.get(name)
            if rule is None:
                unprocessed.append({"RuleName": name, "ErrorCode": "400", "Message": "no such rule"})
                continue
            seen = self._seen.setdefault(name, {})
            seen[document["ClientID"]] = (now, document["RequestCount"])
            active = {client: count for client, (when, count) in seen.items() if now - when <= 2 * INTERVAL_S}
            demand = sum(active.values()) or 1
            share = rule["ReservoirSize"] * active[document["ClientID"]] // demand
            target = {
                "RuleName": name,
                "FixedRate": rule["FixedRate"],
                "ReservoirQuota": max(share, 1 if rule["ReservoirSize"] else 0),
                "ReservoirQuotaTTL": now + 300,
                "Interval": INTERVAL_S,
            }
            if name in self.boost:
                target["SamplingBoost"] = self.boost[name]
            targets.append(target)
        return {
            "SamplingTargetDocuments": targets,
            "LastRuleModification": self.modified,
            "UnprocessedStatistics": unprocessed,
        }


@contextmanager
def sampling_server(clock: Callable[[], float]) -> Iterator[SamplingServer]:
    state = SamplingServer(clock)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if state.broken or self.path not in ("/GetSamplingRules", "/SamplingTargets"):
                state.requests.append((self.path, body))
                self.send_error(state.broken or 404)
                return
            content = json.dumps(state.answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
