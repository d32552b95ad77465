from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluoro.propagation import (
    MAX_EXTRAS,
    Parent,
    extract,
    inject,
    parse_trace_id,
    parse_w3c,
    parse_xray,
    write_xray,
    write_xray_answer,
)

TRACE = bytes.fromhex("5759e988bd862e3fe1be46a994272793")
ROOT = "1-5759e988-bd862e3fe1be46a994272793"
SPAN = 0x53995C3F42CD8AD8
HEX = "53995c3f42cd8ad8"

trace_ids = st.binary(min_size=16, max_size=16).filter(any)
span_ids = st.integers(1, 2**64 - 1)
# What may stand in a header, without the grammar's own signs.
words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=";="), min_size=1, max_size=20)
known = {"root", "parent", "sampled", "self"}
extras = st.lists(st.tuples(words.filter(lambda key: key.lower() not in known), words), max_size=5).map(
    lambda items: ";".join(f"{key}={value}" for key, value in items)
)


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        (f"Root={ROOT};Parent={HEX};Sampled=1", Parent(TRACE, SPAN, True)),
        (f"Root={ROOT};Parent={HEX};Sampled=0", Parent(TRACE, SPAN, False)),
        (f"Root={ROOT};Parent={HEX};Sampled=?", Parent(TRACE, SPAN, None, asked=True)),
        (f"Root={ROOT}", Parent(TRACE, 0, None)),
        (f"Self={ROOT};Root={ROOT}", Parent(TRACE, 0, None)),
        (f" root = {ROOT.upper()} ;; PARENT={HEX.upper()} ; sampled=1;", Parent(TRACE, SPAN, True)),
        (f"Root={ROOT};Lineage=a:1|b:2;X=y=z", Parent(TRACE, 0, None, extras="Lineage=a:1|b:2;X=y=z")),
        (f"Root={ROOT};Parent=xyz;Sampled=yes", Parent(TRACE, 0, None)),
        (f"Root={ROOT};Parent=-3995c3f42cd8ad8", Parent(TRACE, 0, None)),
        (f"Parent={HEX};Sampled=1", None),
        ("Root=1-00000000-000000000000000000000000;Sampled=0", None),
        ("Root=dummy", None),
        ("", None),
    ],
)
def test_xray_header(header, parent):
    assert parse_xray(header) == parent


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE.hex()}-{HEX}-01", True),
        (f"00-{TRACE.hex()}-{HEX}-00", False),
        (f" 00-{TRACE.hex()}-{HEX}-03 ", True),
        (f"cc-{TRACE.hex()}-{HEX}-01-what-comes-later", True),
    ],
)
def test_w3c_header(header, sampled):
    assert parse_w3c(header) == Parent(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        f"ff-{TRACE.hex()}-{HEX}-01",
        f"00-{TRACE.hex()}-{HEX}-01-more",
        f"cc-{TRACE.hex()}-{HEX}-01more",
        f"00-{'0' * 32}-{HEX}-01",
        f"00-{TRACE.hex()}-{'0' * 16}-01",
        f"00-{TRACE.hex()}-{HEX}-0g",
        f"00_{TRACE.hex()}-{HEX}-01",
        f"00-{TRACE.hex()[:-1]}--{HEX}-01",
        "00",
    ],
)
def test_w3c_header_that_is_none(header):
    assert parse_w3c(header) is None


@given(trace_ids, span_ids, st.booleans(), extras)
def test_xray_round_trip(trace_id, span_id, sampled, others):
    parsed = parse_xray(write_xray(trace_id, span_id, sampled, others))
    assert parsed == Parent(trace_id, span_id, sampled, extras=others)


@given(trace_ids, span_ids, st.booleans(), st.sampled_from(["", "a=1", "vendor=x,other@t=y z"]))
def test_what_is_injected_is_extracted_in_either_form(trace_id, span_id, sampled, state):
    headers = inject(trace_id, span_id, sampled, state, "Lineage=l")
    assert extract(headers.get) == Parent(trace_id, span_id, sampled, extras="Lineage=l")
    del headers["X-Amzn-Trace-Id"]
    assert extract(headers.get) == Parent(trace_id, span_id, sampled, trace_state=state)


@given(st.text(max_size=400), st.text(max_size=100))
def test_garbage_never_raises_and_what_is_read_can_be_written(header, state):
    for parent in (parse_xray(header), parse_xray(f"Root={ROOT};{header}"), parse_w3c(header, state)):
        if parent is not None:
            headers = inject(parent.trace_id, parent.id, True, parent.trace_state, parent.extras)
            assert all(value.isascii() and value.isprintable() for value in headers.values())
            assert len(parent.extras) <= MAX_EXTRAS


@given(
    st.lists(
        st.sampled_from(["Root", ROOT, "=", ";", "Parent", HEX, "Sampled", "?", "1", " ", "-", "Self", "é", "\r\n"])
    )
)
def test_near_misses_of_the_xray_grammar_never_raise(pieces):
    parse_xray("".join(pieces))


@given(st.text(alphabet="0123456789abcdefF-_ g", max_size=60))
def test_near_misses_of_the_w3c_grammar_never_raise(header):
    parse_w3c(header)
    parse_trace_id(header)


def test_extras_are_bounded_in_whole_items():
    parent = parse_xray(f"Root={ROOT};A={'x' * 100};B={'y' * 100};C={'z' * 100};D=1")
    assert parent.extras == f"A={'x' * 100};B={'y' * 100}"


def test_xrays_header_wins_and_a_broken_one_does_not_hide_the_other():
    w3c = f"00-{TRACE.hex()}-{HEX}-01"
    other = "Root=1-00000001-000000000000000000000001"
    assert extract({"X-Amzn-Trace-Id": other, "traceparent": w3c}.get).trace_id[-1] == 1
    assert extract({"X-Amzn-Trace-Id": "broken", "traceparent": w3c}.get) == Parent(TRACE, SPAN, True)
    assert extract({}.get) is None


def test_a_servers_answer_has_the_decision_only_when_asked():
    assert write_xray_answer(TRACE, True, asked=False) == f"Root={ROOT}"
    assert write_xray_answer(TRACE, False, asked=True) == f"Root={ROOT};Sampled=0"


def test_a_trace_state_that_is_too_long_or_unprintable_is_left_out():
    header = f"00-{TRACE.hex()}-{HEX}-01"
    assert parse_w3c(header, "a=1").trace_state == "a=1"
    assert parse_w3c(header, "a=" + "x" * 600).trace_state == ""
    assert parse_w3c(header, "a=\r\nEvil: 1").trace_state == ""


@pytest.mark.parametrize("span", ["53995c3f42cd8ad8", "53995C3F42CD8AD8", "0000000000000000", "53995c3f42cd8adg"])
@pytest.mark.parametrize("root", ["1-5759e988-bd862e3fe1be46a994272793", "2-5759e988-bd862e3fe1be46a994272793"])
@pytest.mark.parametrize("flag", ["0", "1", "?", "2"])
def test_the_usual_form_is_read_as_the_others_are(root, span, flag):
    usual = f"Root={root};Parent={span};Sampled={flag}"
    assert parse_xray(usual) == parse_xray(usual.replace(";", "; "))
