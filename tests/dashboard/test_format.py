import datetime as dt

import pytest

from fluoro_dashboard import format as fmt


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "—"),
        (0, "0 ms"),
        (-1, "0 ms"),
        (0.0000874, "87.4 µs"),
        (0.00421, "4.21 ms"),
        (0.0999, "99.9 ms"),
        (0.4567, "457 ms"),
        (0.99951, "1 s"),
        (1.2, "1.2 s"),
        (59.94, "59.9 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (30 * 86400, "30.0 days"),
    ],
)
def test_duration(seconds, text):
    assert fmt.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0/s"), (0.04, "2.4/min"), (0.96, "0.96/s"), (80, "80/s"), (1234.5, "1,234/s")]
)
def test_rate(value, text):
    assert fmt.rate(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0002, "<0.1 %"),
        (0.022, "2.2 %"),
        (0.5, "50 %"),
        (0.967, "96.7 %"),
        (0.9999, ">99.9 %"),
        (1, "100 %"),
    ],
)
def test_percent_never_rounds_a_failure_away(share, text):
    assert fmt.percent(share) == text


def test_moment_is_in_the_viewers_zone():
    assert fmt.moment(1795415341.1239, fmt.zone("Asia/Kolkata")) == "2026-11-23 11:59:01.123"
    assert fmt.zone("Not/AZone") is dt.timezone.utc
    assert fmt.zone(None) is dt.timezone.utc


def test_plain_leaves_no_mark_of_markdown():
    text = fmt.plain("**b** [x](y) `c` $z$ :red[r]\n# h <i>")
    assert "\n" not in text
    for index, letter in enumerate(text):
        if letter in "*[]()`$:#<>":
            assert text[index - 1] == "\\"


def test_one_of_many():
    assert fmt.counted(1, "trace") == "1 trace"
    assert fmt.counted(0, "trace") == "0 traces"
    assert fmt.counted(1234, "trace") == "1,234 traces"
