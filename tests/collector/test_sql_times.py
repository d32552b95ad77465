"""A range of times is compared as DateTime64: against a DateTime, ClickHouse 26.9 drops parts that it should read.

`start < toDateTime(60)` becomes `start <= 59` where an index is asked, so a part whose rows all lie in the last second before
the end is not read.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fluoro_collector
from contracts.segments import START, full_segment
from fluoro.model import Resource
from fluoro_collector.store.store import Store, open_engine

_HOME = Path(fluoro_collector.__file__).parent
# Columns with fractions of a second, compared so that the whole second decides.
_WRONG = re.compile(r"\b(?<!i\.)(start|began|received)\s*(<|>)\s*toDateTime\(")


@pytest.mark.parametrize("path", sorted(str(path.relative_to(_HOME)) for path in _HOME.rglob("*.sql")))
def test_no_statement_compares_with_whole_seconds(path: str) -> None:
    assert not _WRONG.search((_HOME / path).read_text(encoding="utf-8"))


def test_a_part_in_the_last_second_of_a_range_is_read(tmp_path: Path) -> None:
    store = Store(open_engine(str(tmp_path / "data")))
    try:
        store.migrate()
        store.insert([(Resource(), [full_segment()])])
        sql = "SELECT count() AS n FROM segments WHERE start < toDateTime64({end:UInt32}, 0, 'UTC')"
        assert store.engine.query(sql, {"end": START // 10**9 + 1}) == {"n": [1]}
    finally:
        store.close()
