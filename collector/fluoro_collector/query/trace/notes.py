"""What is remarkable about a trace as a whole: what is missing, clocks that are off, where its time goes, what repeats."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from fluoro.model import Kind
from fluoro_collector.query.resource_places import NOWHERE, Place
from fluoro_collector.query.trace.clock_skew import clock_offsets
from fluoro_collector.query.trace.critical_path import Interval, critical_path
from fluoro_collector.query.trace.reading import Outline

_SECOND = 1_000_000_000
REPEATED = 5  # siblings that are worth a hint
MAX_REPEATED = 100
MAX_MISSING = 1_000  # indexes in each list of what is missing


class Orphan(msgspec.Struct, kw_only=True):
    """`segment` is the index of a row whose parent, `parent` (16 hex digits), is not stored."""

    segment: int
    parent: str


class Incomplete(msgspec.Struct, kw_only=True):
    """What is not there, as indexes of segments, at most MAX_MISSING of each.

    `unanswered`: calls whose callee should have sent a segment (`traced`) and has not. `no_root`: nothing in the trace is
    without a parent.
    """

    in_progress: list[int]
    orphans: list[Orphan]
    unanswered: list[int]
    no_root: bool


class ClockSkew(msgspec.Struct, kw_only=True):
    """A clock that is off against that of the first segment: `seconds` added to its times correct them.

    `host` is "" when it is not known; then the clock is taken to be the service's.
    """

    host: str
    service: str
    seconds: float
    segments: int


class Step(msgspec.Struct, kw_only=True):
    """What a segment itself adds to the duration: `seconds`, in `intervals` (seconds from the start of the trace)."""

    segment: int
    seconds: float
    intervals: list[tuple[float, float]]


class Repeated(msgspec.Struct, kw_only=True):
    """Siblings that do the same: REPEATED or more children of `parent` (-1: without one). `first` is the index of the first.

    `seconds` is the sum of their durations, `longest` the greatest; `failed` counts errors and faults.
    """

    parent: int
    first: int
    service: str
    name: str
    operation: str
    count: int
    seconds: float
    longest: float
    failed: int


class ServiceTotal(msgspec.Struct, kw_only=True):
    """`requests` are its entries, `calls` what it asked of others. `seconds`: time of its segments that none of their
    children covers; `critical`: what it adds to the duration of the trace. Flags count requests and calls.
    """

    service: str
    segments: int
    requests: int
    calls: int
    errors: int
    throttles: int
    faults: int
    seconds: float
    critical: float


class Notes(msgspec.Struct, kw_only=True):
    """`critical_path` by index. `repeated`: the most frequent first. `services`: by first appearance."""

    incomplete: Incomplete
    clock_skew: list[ClockSkew]
    critical_path: list[Step]
    repeated: list[Repeated]
    services: list[ServiceTotal]


def notes(found: Outline, skews: Sequence[int], places: Mapping[int, Place]) -> Notes:
    """`skews` and `places` as `clock_skews` takes and gives them."""
    ends = [start + duration for start, duration in zip(found.starts, found.durations, strict=True)]
    path = critical_path(found.parents, found.starts, ends)
    return Notes(
        incomplete=_incomplete(found),
        clock_skew=_clocks(found, skews, places),
        critical_path=_steps(found, path),
        repeated=_repeated(found),
        services=_services(found, ends, path),
    )


def clock_skews(found: Outline, places: Mapping[int, Place]) -> list[int]:
    """For each row the ns to add to its times. `places` are those of the resources."""
    clocks = _clock_of(found, places)
    ends = [
        0 if unfinished else start + duration
        for start, duration, unfinished in zip(found.starts, found.durations, found.in_progress, strict=True)
    ]
    waited_for = [kind != Kind.CONSUMER for kind in found.kinds]
    offsets = clock_offsets(found.parents, found.starts, ends, waited_for, clocks)
    return [offsets.get(clock, 0) for clock in clocks]


def _clock_of(found: Outline, places: Mapping[int, Place]) -> list[Hashable]:
    """A host has one clock. Where it is not known, a service has one, and what is below a row has that of the row."""
    clocks: list[Hashable] = []
    for index, parent in enumerate(found.parents):
        place = places.get(found.resource_ids[index], NOWHERE)
        host = place.host or place.instance
        if host:
            clocks.append((host, ""))
        elif found.subsegments[index] and parent >= 0:
            clocks.append(clocks[parent])
        else:
            clocks.append(("", found.services[index]))
    return clocks


def _clocks(found: Outline, skews: Sequence[int], places: Mapping[int, Place]) -> list[ClockSkew]:
    noted: dict[tuple[str, str], ClockSkew] = {}
    for index, skew in enumerate(skews):
        if skew:
            place = places.get(found.resource_ids[index], NOWHERE)
            key = (place.host or place.instance, found.services[index])
            if key not in noted:
                noted[key] = ClockSkew(host=key[0], service=key[1], seconds=skew / _SECOND, segments=0)
            noted[key].segments += 1
    return list(noted.values())


def _incomplete(found: Outline) -> Incomplete:
    rows = range(len(found))
    answered = found.answered()
    return Incomplete(
        in_progress=[index for index in rows if found.in_progress[index]][:MAX_MISSING],
        orphans=[
            Orphan(segment=index, parent=f"{found.parent_ids[index]:016x}")
            for index in rows
            if found.parents[index] < 0 and found.parent_ids[index]
        ][:MAX_MISSING],
        unanswered=[
            index for index in rows if found.traced[index] and found.subsegments[index] and index not in answered
        ][:MAX_MISSING],
        no_root=all(found.parent_ids),
    )


def _steps(found: Outline, path: Mapping[int, list[Interval]]) -> list[Step]:
    began = found.began
    return [
        Step(
            segment=index,
            seconds=_length(path[index]) / _SECOND,
            intervals=[((begin - began) / _SECOND, (end - began) / _SECOND) for begin, end in path[index]],
        )
        for index in sorted(path)
    ]


def _length(intervals: Sequence[Interval]) -> int:
    return sum(end - begin for begin, end in intervals)


def _repeated(found: Outline) -> list[Repeated]:
    alike: dict[tuple[int, str, str, str], list[int]] = {}
    for index, key in enumerate(zip(found.parents, found.services, found.names, found.operations, strict=True)):
        alike.setdefault(key, []).append(index)
    groups = [group for group in alike.values() if len(group) >= REPEATED]
    groups.sort(key=lambda group: (-len(group), group[0]))
    return [
        Repeated(
            parent=found.parents[group[0]],
            first=group[0],
            service=found.services[group[0]],
            name=found.names[group[0]],
            operation=found.operations[group[0]],
            count=len(group),
            seconds=sum(found.durations[index] for index in group) / _SECOND,
            longest=max(found.durations[index] for index in group) / _SECOND,
            failed=sum(bool(found.errors[index] or found.faults[index]) for index in group),
        )
        for group in groups[:MAX_REPEATED]
    ]


@dataclass
class _Total:
    segments: int = 0
    requests: int = 0
    calls: int = 0
    flags: list[int] = field(default_factory=lambda: [0, 0, 0])
    own: int = 0
    critical: int = 0


def _services(found: Outline, ends: Sequence[int], path: Mapping[int, list[Interval]]) -> list[ServiceTotal]:
    totals: dict[str, _Total] = {}
    covered = _covered(found, ends)
    for index, service in enumerate(found.services):
        total = totals.setdefault(service, _Total())
        total.segments += 1
        request, call = not found.subsegments[index], found.is_call(index)
        total.requests += request
        total.calls += call
        if request or call:
            for place, flags in enumerate((found.errors, found.throttles, found.faults)):
                total.flags[place] += bool(flags[index])
        total.own += found.durations[index] - covered[index]
        total.critical += _length(path.get(index, ()))
    return [
        ServiceTotal(
            service=service,
            segments=total.segments,
            requests=total.requests,
            calls=total.calls,
            errors=total.flags[0],
            throttles=total.flags[1],
            faults=total.flags[2],
            seconds=total.own / _SECOND,
            critical=total.critical / _SECOND,
        )
        for service, total in totals.items()
    ]


def _covered(found: Outline, ends: Sequence[int]) -> list[int]:
    """Of each row's time the ns in which some child ran. Siblings come by start, so one pass does."""
    covered = [0] * len(found)
    reached = list(found.starts)
    for index, parent in enumerate(found.parents):
        if parent >= 0:
            begin = max(found.starts[index], reached[parent])
            end = min(ends[index], ends[parent])
            if end > begin:
                covered[parent] += end - begin
                reached[parent] = end
    return covered
