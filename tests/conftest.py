"""Fixtures for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fluoro import testing


@pytest.fixture
def spans() -> Iterator[testing.Spans]:
    """The segments that the test makes fluoro finish; fails when one is left open or never looked at."""
    with testing.capture() as captured:
        yield captured
