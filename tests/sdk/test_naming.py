from __future__ import annotations

import pytest

from fluoro.instrument import _http
from fluoro.naming import MAX_NAMES, dynamic_naming
from fluoro.recorder import recorder


@pytest.mark.parametrize(
    ("pattern", "host", "name"),
    [
        ("*.example.com", "Shop.Example.com:8000", "shop.example.com"),
        ("*.example.com", "example.org", ""),
        ("*", "10.0.0.1", "10.0.0.1"),
        ("*", "", ""),
        ("*", "x" * 300, ""),
        ("*", "a\x00b", ""),
        ("*", "ä.example.com", ""),
    ],
)
def test_a_host_that_fits_is_a_name(pattern, host, name):
    assert dynamic_naming(pattern)(host) == name


def test_a_stranger_cannot_invent_names_without_end():
    name = dynamic_naming("*")
    made = {name(f"h{number}") for number in range(10_000)}
    assert len(made) == MAX_NAMES + 1
    assert name("h0") == "h0"
    assert name("new") == ""


def test_a_request_is_a_segment_of_the_host_it_was_meant_for(spans):
    recorder.naming = dynamic_naming("*.example.com")
    for host in ("a.example.com", "other"):
        headers = {"Host": host}
        with _http.server_span("GET", f"http://{host}/", headers.get, "127.0.0.1"), recorder.begin("work"):
            pass
    work, first, _, second = spans.take(4)
    assert (first.name, work.service, second.name) == ("a.example.com", "a.example.com", "test")
