from __future__ import annotations

from typing import Any

import pytest
import urllib3

from contracts.http_client import HttpClientContract, Upstream
from fluoro.testing import Spans

ONCE = urllib3.Retry(total=None, connect=False, read=False, redirect=3)


class TestUrllib3(HttpClientContract):
    library = "urllib3"
    timeout_error = urllib3.exceptions.ReadTimeoutError
    connection_error = urllib3.exceptions.NewConnectionError

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        with urllib3.PoolManager() as manager:
            timeout = urllib3.Timeout(connect=10, read=timeout_s)
            return manager.request(method, url, headers=headers, retries=ONCE, timeout=timeout).status

    def originals(self) -> list[Any]:
        return [vars(urllib3.PoolManager)["urlopen"], vars(urllib3.HTTPConnectionPool)["urlopen"]]

    def test_retries_are_counted_in_one_span(self, server: Upstream, spans: Spans) -> None:
        retry = urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)
        with urllib3.PoolManager() as manager:
            assert manager.request("GET", f"{server.url}/flaky", retries=retry).status == 200
        call = spans.one()
        assert len(server.seen) == 3
        assert {parent.id for parent in server.parents()} == {call.id}
        assert call.metadata == {"http": {"retries": 2}}
        assert (call.fault, call.error) == (False, False)

    def test_retries_that_were_in_vain_are_counted_too(self, server: Upstream, spans: Spans) -> None:
        retry = urllib3.Retry(1, status_forcelist=[500], backoff_factor=0)
        with urllib3.PoolManager() as manager, pytest.raises(urllib3.exceptions.MaxRetryError):
            manager.request("GET", f"{server.url}/status/500", retries=retry)
        call = spans.one()
        assert call.fault
        assert call.metadata == {"http": {"retries": 1}}

    def test_a_redirect_is_no_retry(self, server: Upstream, spans: Spans) -> None:
        self.call("GET", f"{server.url}/redirect")
        assert spans.one().metadata is None

    def test_the_body_may_be_read_after_the_span(self, server: Upstream, spans: Spans) -> None:
        with urllib3.PoolManager() as manager:
            response = manager.request("GET", f"{server.url}/chunked", preload_content=False)
            assert spans.one().http is not None
            assert b"".join(response.stream(4)) == b"twelve bytes"

    def test_the_callers_headers_stay_his(self, server: Upstream, spans: Spans) -> None:
        mine = {"x-amzn-trace-id": "Root=1-00000001-000000000000000000000001", "traceparent": "mine", "X-Other": "1"}
        before = dict(mine)
        with urllib3.PoolManager(headers=mine) as manager:
            manager.request("GET", f"{server.url}/status/200")
            manager.request("GET", f"{server.url}/status/200", headers=mine)
            assert manager.headers == before
        assert mine == before
        calls = spans.take(2)
        assert [parent.id for parent in server.parents()] == [call.id for call in calls]
        assert all(headers["x-other"] == "1" for _, headers in server.seen)

    def test_a_kept_connection_serves_several_spans(self, server: Upstream, spans: Spans) -> None:
        with urllib3.HTTPConnectionPool("127.0.0.1", server.server_port) as pool:
            for _ in range(3):
                assert pool.request("GET", "/status/200").status == 200
            assert pool.num_connections == 1
        assert [call.id for call in spans.take(3)] == [parent.id for parent in server.parents()]


class TestUrllib3Pool(TestUrllib3):
    """The pool of one host, used without a manager."""

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        found = urllib3.util.parse_url(url)
        with urllib3.HTTPConnectionPool(found.host or "", found.port) as pool:
            timeout = urllib3.Timeout(connect=10, read=timeout_s)
            return pool.request(method, found.request_uri, headers=headers, retries=ONCE, timeout=timeout).status
