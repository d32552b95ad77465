import itertools

from hypothesis import given
from hypothesis import strategies as st

from fluoro_dashboard.critical_path import critical_path


def test_a_lone_root_is_its_own_path():
    assert critical_path([-1], [0], [5]) == [[(0, 5)]]


def test_the_child_that_ends_last_is_on_the_path():
    # root 0..10, a 1..4, b 2..9 (starts inside a): b holds up the root, then a until b starts
    assert critical_path([-1, 0, 0], [0, 1, 2], [10, 3, 7]) == [[(0, 1), (9, 10)], [(1, 2)], [(2, 9)]]


def test_work_that_outlives_its_parent_is_clamped():
    assert critical_path([-1, 0], [0, 5], [10, 50]) == [[(0, 5)], [(5, 10)]]


def test_depth_beyond_the_stack():
    size = 5000
    path = critical_path(list(range(-1, size - 1)), [0.0] * size, [1.0] * size)
    assert path[-1] == [(0, 1)]


@st.composite
def forests(draw):
    size = draw(st.integers(1, 30))
    parents = [-1] + [draw(st.integers(0, index - 1)) for index in range(1, size)]
    times = st.integers(0, 1000)
    return parents, [draw(times) for _ in range(size)], [draw(times) for _ in range(size)]


@given(forests())
def test_the_path_covers_the_root_exactly_once(forest):
    parents, starts, durations = forest
    path = critical_path(parents, starts, durations)
    parts = sorted(interval for intervals in path for interval in intervals)
    assert sum(high - low for low, high in parts) == durations[0]
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(parts))
    for index, intervals in enumerate(path):
        assert all(starts[index] <= low < high <= starts[index] + durations[index] for low, high in intervals)
