from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    OpenerDirector,
    Request,
    build_opener,
    urlopen,
    urlretrieve,
)

import pytest

from contracts.http_client import HttpClientContract, Upstream
from fluoro.testing import Spans


class TestUrllib(HttpClientContract):
    library = "urllib"
    timeout_error = TimeoutError
    connection_error = URLError

    def call(self, method: str, url: str, *, timeout_s: float = 10, headers: dict[str, str] | None = None) -> int:
        user, at, rest = url.partition("@")  # it would ask the resolver for "user:secret@127.0.0.1"
        if at:
            url = f"{user.partition('://')[0]}://{rest}"
        try:
            with urlopen(Request(url, method=method, headers=headers or {}), timeout=timeout_s) as response:
                response.read()
                return int(response.status)
        except HTTPError as error:
            error.close()
            return error.code

    def originals(self) -> list[Any]:
        return [vars(OpenerDirector)["open"]]

    def test_a_plain_url_is_traced(self, server: Upstream, spans: Spans) -> None:
        with urlopen(f"{server.url}/status/200") as response:
            call = spans.one()
            assert response.read() == b"twelve bytes"
        assert (call.name, call.operation) == (server.name, "GET")
        assert [parent.id for parent in server.parents()] == [call.id]

    @pytest.mark.parametrize("given", ["to the call", "in the request"])
    def test_data_makes_it_a_post(self, server: Upstream, spans: Spans, given: str) -> None:
        url = f"{server.url}/status/200"
        if given == "to the call":
            urlopen(url, b"data").close()
            urlopen(Request(url), b"data").close()
        else:
            urlopen(Request(url, b"data")).close()
            urlopen(Request(url, b"data", method="POST"), b"data").close()
        assert [call.operation for call in spans.take(2)] == ["POST", "POST"]

    def test_the_error_is_the_librarys(self, server: Upstream, spans: Spans) -> None:
        with pytest.raises(HTTPError) as raised:
            urlopen(f"{server.url}/status/404")
        assert raised.value.read() == b"twelve bytes"
        raised.value.close()
        call = spans.one()
        assert (call.error, call.fault, call.cause) == (True, False, None)

    def test_a_request_opened_twice_is_two_spans(self, server: Upstream, spans: Spans) -> None:
        request = Request(f"{server.url}/status/200")
        request.add_unredirected_header("traceparent", "mine")
        for _ in range(2):
            urlopen(request).close()
        assert [call.id for call in spans.take(2)] == [parent.id for parent in server.parents()]

    def test_other_schemes_are_not_traced(self, tmp_path: Path, spans: Spans) -> None:
        path = tmp_path / "file"
        path.write_text("text")
        with urlopen(path.as_uri()) as response:
            assert response.read() == b"text"
        with urlopen("data:,text") as response:
            assert response.read() == b"text"
        assert spans.take() == []

    @pytest.mark.parametrize("url", ["nothing", "httpnothing", "http:", "http://127.0.0.1:port/"])
    def test_misuse_fails_as_before(self, url: str, spans: Spans) -> None:
        with pytest.raises((ValueError, URLError, http.client.InvalidURL)):
            urlopen(url)
        spans.take()

    def test_urlretrieve_is_traced(self, server: Upstream, spans: Spans, tmp_path: Path) -> None:
        urlretrieve(f"{server.url}/status/200", tmp_path / "file")
        assert spans.one().operation == "GET"
        assert (tmp_path / "file").read_bytes() == b"twelve bytes"

    def test_what_a_handler_repeats_is_part_of_the_call(self, server: Upstream, spans: Spans) -> None:
        """An answer 401 that asks for a password is repeated with it."""
        passwords = HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, server.url, "user", "secret")
        with build_opener(HTTPBasicAuthHandler(passwords)).open(f"{server.url}/private") as response:
            assert response.status == 200
        call = spans.one()
        assert len(server.seen) == 2
        assert {parent.id for parent in server.parents()} == {call.id}
        assert "secret" not in repr(call)
