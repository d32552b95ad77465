"""X-Ray's two sampling operations over HTTP, unsigned: a collector of ours, or an X-Ray daemon's TCP port."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec

TIMEOUT_S = 2.0
MAX_ANSWER = 4 << 20  # bytes
MAX_PAGES = 20


class Unavailable(Exception):
    """No usable answer this time. `offered` is False when the server has no such operation."""

    def __init__(self, reason: str, *, offered: bool = True) -> None:
        super().__init__(reason)
        self.offered = offered


class SamplingClient:
    """One connection for each call: there are few, and a connection held for minutes outlives what is between."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._host = parts.hostname or ""
        self._host.encode("idna")  # loads the codec that the socket will ask for; see `transport.http`
        self._port = parts.port or 80
        self._path = parts.path.rstrip("/")

    def rules(self) -> list[Any]:
        """All `SamplingRuleRecords`, page by page. Raises Unavailable."""
        records: list[Any] = []
        token = ""
        for _ in range(MAX_PAGES):
            answer = self._call("/GetSamplingRules", {"NextToken": token} if token else {})
            page = answer.get("SamplingRuleRecords")
            if not isinstance(page, list):
                raise Unavailable("the answer has no SamplingRuleRecords", offered=False)
            records += page
            token = answer.get("NextToken") or ""
            if not token:
                return records
        return records

    def targets(self, statistics: list[Any], boosts: list[Any]) -> dict[str, Any]:
        """Report, and get what the service grants. At most 25 of either. Raises Unavailable."""
        body: dict[str, Any] = {"SamplingStatisticsDocuments": statistics}
        if boosts:
            body["SamplingBoostStatisticsDocuments"] = boosts
        return self._call("/SamplingTargets", body)

    def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        where = f"{self._host}:{self._port}{self._path}{path}"
        try:
            connection.request(
                "POST", self._path + path, msgspec.json.encode(body), {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            data = response.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{where}: {type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if response.status != 200:
            missing = 400 <= response.status < 500 and response.status not in (408, 429)
            raise Unavailable(f"{where} answered {response.status}", offered=not missing)
        try:
            answer = msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            answer = None
        if not isinstance(answer, dict):
            raise Unavailable(f"{where} answered something that is not a JSON object", offered=False)
        return answer
