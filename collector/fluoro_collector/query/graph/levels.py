"""Minutes, hours and days: which of them answer for a range, and the statements that read one of the three."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from fluoro_collector.query.graph.graph_minutes import MINUTE, Live
from fluoro_collector.query.sql import statement

HOUR = 3600
DAY = 86_400


class Level(NamedTuple):
    """Tables `nodes_{suffix}`, `edges_{suffix}`: their column of time, its size, and the column with the first minute."""

    suffix: str
    time: str
    seconds: int
    first_minute: str


MINUTES = Level("1m", "minute", MINUTE, "minute")
HOURS = Level("1h", "hour", HOUR, "first_minute")
DAYS = Level("1d", "day", DAY, "first_minute")


@cache
def leveled(name: str, level: Level) -> str:
    """`query/{name}.sql` for one level: `_LEVEL`, `PERIOD` and `FIRST_MINUTE` stand for its table and columns there."""
    sql = statement(name).replace("_LEVEL", f"_{level.suffix}").replace("FIRST_MINUTE", level.first_minute)
    return sql.replace("PERIOD", level.time)


def cover(first: int, last: int, live: Live, largest: int = DAY) -> list[tuple[Level, list[int]]]:
    """Which stored periods make up [first, last) (whole minutes, epoch seconds), but for the minutes of `live`.

    Whole days, then whole hours, then minutes; each ascending, levels without any left out. A period with a live minute,
    or one that is stale, is made of what is below it. No period is longer than `largest` seconds.
    """
    hours_apart = {minute // HOUR * HOUR for minute in live.minutes}
    days_apart = {hour // DAY * DAY for hour in hours_apart} | set(live.stale_days)
    hours_apart |= set(live.stale_hours)
    days = _whole(first, last, DAY, days_apart) if largest >= DAY else []
    hours = []
    if largest >= HOUR:
        whole_days = set(days)
        hours = [hour for hour in _whole(first, last, HOUR, hours_apart) if hour // DAY * DAY not in whole_days]
    gone = set(live.minutes)
    minutes: list[int] = []
    at = first
    for begin, end in sorted([(day, day + DAY) for day in days] + [(hour, hour + HOUR) for hour in hours]):
        minutes += range(at, begin, MINUTE)
        at = end
    minutes += range(at, last, MINUTE)
    found = [(DAYS, days), (HOURS, hours), (MINUTES, [minute for minute in minutes if minute not in gone])]
    return [(level, periods) for level, periods in found if periods]


def _whole(first: int, last: int, size: int, apart: Collection[int]) -> list[int]:
    """The periods of this size that lie wholly in [first, last)."""
    return [begin for begin in range(-(-first // size) * size, last - size + 1, size) if begin not in apart]
