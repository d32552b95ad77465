from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro.sampling.matching import folded, matcher

letters = st.text("aAb?*.\n", max_size=8)


@given(letters, st.text("aAbc.\n", max_size=12))
def test_it_agrees_with_the_plain_definition(pattern, text):
    expected = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern.lower())
    fits = matcher(pattern)
    assert (fits is None or fits(folded(text))) == (re.fullmatch(expected, text.lower(), re.DOTALL) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("/orders/*", "/orders/7", True),
        ("/orders/*", "/Orders/", True),
        ("/orders/*", "/order", False),
        ("*.example.com", "shop.example.com", True),
        ("*.example.com", "example.com", False),
        ("GET", "get", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a*b*c", "a-b-b-c", True),
        ("ab*ba", "aba", False),
        ("", "", True),
        ("", "x", False),
    ],
)
def test_examples(pattern, text, expected):
    fits = matcher(pattern)
    assert fits is not None
    assert fits(folded(text)) is expected


def test_what_everything_matches_costs_nothing():
    assert matcher("*") is None
    assert matcher("***") is None


def test_a_hostile_text_costs_no_more_than_its_length():
    fits = matcher("*a" * 60 + "b")
    assert fits is not None
    started = time.process_time()
    assert not fits(folded("a" * 1_000_000))
    assert time.process_time() - started < 1
