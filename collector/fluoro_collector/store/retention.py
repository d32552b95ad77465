"""Old data goes: whole days after the retention, days without errors before that where errors are kept longer.

A day is a day of UTC, as the tables are partitioned. It is dropped when all of it is older than the retention, so nothing
goes early and at most a day stays longer. Rollups are cut by month and year: figures of the map outlive its traces by that.

With a longer retention for errors, a day between the two loses its traces without an error or fault, once: `maintenance`
remembers which days are done. A trace belongs together: when one of its rows of that day or a day beside it has an error, a
throttle or a fault, all stay. That is read from the segments, so it does not depend on the rollup. The map keeps its figures
of such a day.

Every step may be cut off and repeated, and may be done by several collectors together.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

from . import maintenance
from .cluster import everywhere, local, stored_as
from .engine import Engine

log = logging.getLogger(__name__)

_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_MONTH = re.compile(r"(\d{4})(\d\d)")
_YEAR = re.compile(r"(\d{4})")
_KEPT_BY_TRACE = ("segments", "traces")
# No partition is too large to go, and the next step starts when this one is done.
_DROP = "SETTINGS max_partition_size_to_drop = 0, max_table_size_to_drop = 0"
_DELETE = "SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1"

# Rows of traces that keep {day}: one day to each side, since a trace may pass midnight.
_WITH_ERRORS = """
    SELECT trace_id FROM {segments}
    WHERE start >= toDateTime('{before} 00:00:00', 'UTC') AND start < toDateTime64('{after} 00:00:00', 0, 'UTC')
      AND (error OR throttle OR fault)
"""


class Retention:
    """`run_once` blocks; call it in a thread. `keep_days` and `keep_error_days`: 0 = for ever; errors are not kept shorter."""

    def __init__(
        self, engine: Engine, keep_days: int, keep_error_days: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._keep = keep_days
        self._keep_errors = 0 if not keep_days else keep_error_days
        self._clock = clock

    def run_once(self) -> list[str]:
        """Remove what is too old; what was done, for the log. Raises StoreError, StoreBusy; then the next run goes on."""
        if not self._keep:
            return []
        today = datetime.fromtimestamp(self._clock(), timezone.utc).date()
        done = []
        if self._keep_errors:
            done += self._drop(_last_day(today, self._keep_errors))
        if self._keep_errors != self._keep:
            done += self._thin_out(_last_day(today, self._keep))
        for each in done:
            log.info("retention: %s", each)
        return done

    def _drop(self, last: date) -> list[str]:
        """Drop each partition that ends on `last` or before."""
        done = []
        for table, partition in self._partitions():
            end = partition_end(partition)
            if end is not None and end <= last:
                self._engine.command(
                    f"ALTER TABLE {local(self._engine, table)} DROP PARTITION {_literal(partition)} {_DROP}"
                )
                done.append(f"dropped {partition} of {table}")
        return done

    def _thin_out(self, last: date) -> list[str]:
        """Remove traces without errors from days up to `last` that still have them."""
        tables: dict[str, list[str]] = {}
        for table, partition in self._partitions():
            if table in _KEPT_BY_TRACE and _DAY.fullmatch(partition) and date.fromisoformat(partition) <= last:
                tables.setdefault(partition, []).append(table)
        finished = maintenance.finished(self._engine, maintenance.RETENTION) if tables else set()
        done = []
        for day in sorted(tables):
            if day not in finished:
                self._remove_without_errors(day, tables[day])
                maintenance.finish(self._engine, maintenance.RETENTION, day)
                done.append(f"removed the traces without errors of {day}")
        return done

    def _remove_without_errors(self, day: str, tables: list[str]) -> None:
        begin = date.fromisoformat(day)
        kept = _WITH_ERRORS.format(
            # On a cluster all rows of a trace are on one shard, and each shard works on its own.
            segments=stored_as(self._engine, "segments"),
            before=begin - timedelta(days=1),
            after=begin + timedelta(days=2),
        )
        for table in tables:
            # A row of zero is no trace: it says which version of a minute is current.
            self._engine.command(
                f"ALTER TABLE {local(self._engine, table)} DELETE IN PARTITION '{day}' "
                f"WHERE trace_id NOT IN ({kept}) AND trace_id != toFixedString('', 16) {_DELETE}"
            )

    def _partitions(self) -> list[tuple[str, str]]:
        """(table, partition) of every table of ours."""
        answer = self._engine.query(
            f"SELECT DISTINCT table, partition FROM {everywhere(self._engine, 'parts')} "  # noqa: S608 - our words only
            "WHERE database = currentDatabase() AND active ORDER BY table, partition"
        )
        suffix = len(stored_as(self._engine, "")) or None
        names = [name[:-suffix] if suffix else name for name in answer["table"]]
        return list(zip(names, answer["partition"], strict=True))


def partition_end(partition: str) -> date | None:
    """The last day in a partition `2026-01-31`, `202601` or `2026`; None for tables that are not cut by time."""
    day = _DAY.fullmatch(partition)
    if day:
        return date(int(day[1]), int(day[2]), int(day[3]))
    month = _MONTH.fullmatch(partition)
    if month and 1 <= int(month[2]) <= 12:
        return (date(int(month[1]), int(month[2]), 1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    year = _YEAR.fullmatch(partition)
    return date(int(year[1]), 12, 31) if year and int(year[1]) else None


def _last_day(today: date, keep_days: int) -> date:
    """The last day of which everything is older than `keep_days`, at any time of `today`."""
    return today - timedelta(days=keep_days + 1)


def _literal(partition: str) -> str:
    return f"'{partition}'" if "-" in partition else partition
