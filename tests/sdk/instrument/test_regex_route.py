from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro.instrument._regex_route import template


@pytest.mark.parametrize(
    ("pattern", "readable"),
    [
        (r"^orders/(?P<id>[0-9]+)/$", "orders/{id}/"),
        (r"^/orders/(?P<id>\d{1,4}(?:-(?P<part>[a-z]+))?)/?$", "/orders/{id}/"),
        (r"/orders/([^/]+)/(.*)", "/orders/{var}/{var}"),
        (r"^(?:page-(?P<page>\d+)/)?comments/\Z", "page-{page}/comments/"),
        (r"/(?:a|b)/x", "/{var}/x"),
        (r"/v1\.0/a\-b", "/v1.0/a-b"),
        (r"/[a-z]+/\w+/\d{3}", "/{var}/{var}/{var}"),
        (r"/files/.*\.txt", "/files/{var}.txt"),
        (r"(?i)/x(?=y)(?!z)y", "/xy"),
        (r"/a[\]/]b", "/a{var}b"),
        (r"/(?P<a>x(y(z)))/(?P=a)", "/{a}/{var}"),
        ("orders/<int:id>/", "orders/<int:id>/"),
        ("/plain", "/plain"),
        ("", ""),
    ],
)
def test_a_pattern_becomes_readable(pattern: str, readable: str) -> None:
    assert template(pattern) == readable


@given(st.text(alphabet="()[]{}\\^$.*+?|<>:=!P/ab1,-", max_size=30))
def test_it_never_fails(pattern: str) -> None:
    assert isinstance(template(pattern), str)


@given(st.from_regex(r"\A(/[a-z]{1,5}){1,4}\Z"))
def test_a_plain_path_stays_as_it_is(path: str) -> None:
    assert template(re.escape(path)) == path
