import pytest

from fluoro_dashboard import ranges


def test_a_relative_range_is_the_same_within_one_refresh_step():
    assert ranges.resolve("5m", 1000.1, step=5) == ranges.resolve("5m", 1004.9, step=5) == (705, 1005, "5m")
    assert ranges.resolve("5m", 1005.1, step=5) != ranges.resolve("5m", 1004.9, step=5)


def test_custom_needs_both_ends_in_order():
    assert ranges.resolve("custom", 5000, start=10, end=20.5) == (10, 21, "custom")
    for start, end in ((20, 10), (None, 10), (10, None), (-5, 10)):
        assert ranges.resolve("custom", 5000, start=start, end=end).name == ranges.DEFAULT


def test_a_range_leads_back_to_itself():
    assert ranges.resolve("6h", 5).params() == {"range": "6h"}
    custom = ranges.TimeRange(10, 20, "custom")
    assert custom.params() == {"range": "custom", "from": "10", "to": "20"}


@pytest.mark.parametrize("age", [10, 400, 5000, 50_000, 500_000, 5_000_000])
def test_covering_shows_the_newest(age):
    now = 1_795_000_000
    found = ranges.covering(now - age, now)
    assert found.start < now - age < found.end


@pytest.mark.parametrize("text", ["", None, "x", "nan", "inf", "-1", "1e300"])
def test_nonsense_in_the_url_is_no_time(text):
    assert ranges.epoch(text) is None


def test_a_series_has_about_sixty_points_and_never_finer_than_the_rollup():
    assert ranges.period(300) == 60
    assert ranges.period(3600) == 60
    assert ranges.period(86400) == 1800
    assert ranges.period(604800) == 10800
