from __future__ import annotations

from typing import Any

import pytest
import requests

from contracts.http_client import HttpClientContract, Upstream
from fluoro.testing import Spans


class TestRequests(HttpClientContract):
    library = "requests"
    timeout_error = requests.Timeout
    connection_error = requests.ConnectionError

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        with requests.Session() as session:
            return session.request(method, url, timeout=timeout_s, headers=headers, allow_redirects=True).status_code

    def originals(self) -> list[Any]:
        return [vars(requests.Session)["send"]]

    def test_a_request_sent_twice_is_two_spans(self, server: Upstream, spans: Spans) -> None:
        with requests.Session() as session:
            request = session.prepare_request(requests.Request("GET", f"{server.url}/status/200"))
            session.send(request)
            session.send(request)
        assert [call.id for call in spans.take(2)] == [parent.id for parent in server.parents()]

    def test_raise_for_status_in_a_hook_is_judged_by_the_status(self, server: Upstream, spans: Spans) -> None:
        with requests.Session() as session, pytest.raises(requests.HTTPError):
            session.get(
                f"{server.url}/status/404", hooks={"response": lambda response, **_: response.raise_for_status()}
            )
        call = spans.one()
        assert (call.error, call.fault) == (True, False)
        assert call.cause is not None

    def test_streaming_ends_with_the_headers(self, server: Upstream, spans: Spans) -> None:
        with requests.Session() as session, session.get(f"{server.url}/status/200", stream=True) as response:
            call = spans.one()
            assert response.content == b"twelve bytes"
        assert call.http is not None
        assert call.http.content_length == 12

    def test_misuse_fails_as_before(self, spans: Spans) -> None:
        with requests.Session() as session, pytest.raises(ValueError, match="PreparedRequest"):
            session.send(requests.Request("GET", "http://127.0.0.1/"))  # type: ignore[arg-type]
        assert spans.take() == []
