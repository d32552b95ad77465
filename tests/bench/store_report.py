"""The tables that `bench_store.py` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from store_measure import Cost

if TYPE_CHECKING:
    from bench_store import Step
    from store_inserts import Inserted

BILLION = 1_000_000_000
FLAT = 1.3  # growth over all the steps that may as well be noise
_NAME = 46


def show(steps: list[Step], inserted: list[Inserted], minute: Cost, peers: list[str], days: int) -> None:
    last = steps[-1]
    print(f"\n{last.spans:,} spans in {last.traces:,} traces, {days} days, 100 services")
    _disk(last, peers)
    _inserts(inserted)
    _rollup(steps, minute)
    _questions(last, peers)
    _growth(steps)
    _memory(last)
    _budgets(steps, peers, days)


def _disk(step: Step, peers: list[str]) -> None:
    ours, rolled, theirs = bytes_per_span(step, peers)
    print(f"\n{'bytes per span on disk, merged':<{_NAME}}{'B':>9}{'÷ fluoro':>10}")
    print(f"{'fluoro: segments, resources':<{_NAME}}{ours:>9.1f}")
    print(f"{'fluoro: with rollups':<{_NAME}}{ours + rolled:>9.1f}")
    for peer, size in theirs.items():
        print(f"{peer + ': with its lookup table':<{_NAME}}{size:>9.1f}{size / ours:>9.2f}x")
    for table, (rows, size) in sorted(step.disk.items()):
        if rows:
            print(f"    {table:<{_NAME - 4}}{size / step.spans:>9.2f}{rows:>16,} rows{size / rows:>8.1f} B/row")


def bytes_per_span(step: Step, peers: list[str]) -> tuple[float, float, dict[str, float]]:
    """fluoro's spans, its rollups, each peer's spans with its lookup table."""
    sizes = {table: size / step.spans for table, (_, size) in step.disk.items()}
    ours = sizes["segments"] + sizes["resources"]
    theirs = {}
    for peer in peers:
        table = peer.replace(", ", "_")
        theirs[peer] = sizes[table] + sizes[f"{table}_trace_id_ts"]
    rolled = sum(size for table, size in sizes.items() if not table.startswith(("otel_", "bench_"))) - ours
    return ours, rolled, theirs


def _inserts(inserted: list[Inserted]) -> None:
    print(f"\n{'inserts, one after the other':<{_NAME + 16}}{'rows each':>10}{'rows/s':>10}{'CPU µs/span':>13}")
    for each in inserted:
        rate = 1 / each.per_span.wall
        print(f"{each.name:<{_NAME + 16}}{each.rows:>10,}{rate:>10,.0f}{each.per_span.cpu * 1e6:>13.1f}")


def _rollup(steps: list[Step], minute: Cost) -> None:
    print(f"\n{'rollup of everything':<{_NAME}}{'CPU µs/span':>13}{'spans/s':>10}")
    for step in steps:
        print(
            f"{f'{step.spans:,} spans':<{_NAME}}{step.rollup.cpu / step.rolled * 1e6:>13.1f}{step.rolled / step.rollup.wall:>10,.0f}"
        )
    print(f"the newest minute again: {minute.wall * 1e3:.0f} ms, {minute.cpu * 1e3:.0f} ms of CPU")


def _questions(step: Step, peers: list[str]) -> None:
    names = list(dict.fromkeys(question for question, _ in step.warm))
    print(f"\n{'ms':<{_NAME}}{'fluoro':>24}", *(f"{peer:>34}" for peer in peers), sep="")
    head = f"{'cold':>8}{'warm':>8}{'CPU':>8}"
    print(f"{'':<{_NAME}}{head}", *(f"{head}{'÷ fluoro':>10}" for _ in peers), sep="")
    for name in names:
        ours = step.warm[name, "fluoro"]
        cells = [_cells(step, name, "fluoro")]
        for peer in peers:
            ratio = step.warm[name, peer].wall / ours.wall
            mark = "!" if (name, peer) in step.different else "x"
            cells.append(f"{_cells(step, name, peer)}{ratio:>9.1f}{mark}")
        print(f"{name:<{_NAME}}", *cells, sep="")
    if step.different:
        print("!: the answers differ")


def _cells(step: Step, name: str, who: str) -> str:
    cold, warm = step.cold[name, who], step.warm[name, who]
    return f"{cold.wall * 1e3:>8.1f}{warm.wall * 1e3:>8.1f}{warm.cpu * 1e3:>8.1f}"


def _growth(steps: list[Step]) -> None:
    counts = [step.spans for step in steps]
    print(
        f"\n{'fluoro, warm, ms of CPU, by number of spans':<{_NAME}}",
        *(f"{count:>13,}" for count in counts),
        sep="",
        end="",
    )
    print(f"{'10^9 *':>12}")
    for name in dict.fromkeys(question for question, _ in steps[-1].warm):
        times = [step.warm[name, "fluoro"].cpu for step in steps]
        print(f"{name:<{_NAME}}", *(f"{each * 1e3:>13.1f}" for each in times), sep="", end="")
        flat = times[-1] <= FLAT * times[0]
        print(f"{'flat' if flat else format(extrapolated(counts, times) * 1e3, ',.0f'):>12}")
    print(
        "* extrapolated, not measured: a fixed part and a part in proportion to the spans, fitted to these three (least\n"
        "  squares, neither below zero). What depends on nodes, edges and minutes stops growing when every minute has them all.\n"
        f"  flat: the last takes at most {FLAT} times the first."
    )


def extrapolated(counts: Sequence[float], times: Sequence[float], to: float = BILLION) -> float:
    """`a + b * to`, with a and b not negative, fitted to the relative errors."""
    weights = [1 / time**2 for time in times]
    total = sum(weights)
    mean_x = sum(w * x for w, x in zip(weights, counts, strict=True)) / total
    mean_y = sum(w * y for w, y in zip(weights, times, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, x in zip(weights, counts, strict=True))
    slope = sum(w * (x - mean_x) * (y - mean_y) for w, x, y in zip(weights, counts, times, strict=True)) / spread
    if slope <= 0:
        return mean_y
    if mean_y - slope * mean_x < 0:
        by_origin = sum(w * x * y for w, x, y in zip(weights, counts, times, strict=True))
        return to * by_origin / sum(w * x * x for w, x in zip(weights, counts, strict=True))
    return mean_y + slope * (to - mean_x)


def _memory(step: Step) -> None:
    print(f"\n{'peak resident memory of the process, MB':<{_NAME}}")
    for phase, size in step.memory.items():
        print(f"    {phase:<{_NAME - 4}}{size:>9,.0f}")


def _budgets(steps: list[Step], peers: list[str], days: int) -> None:
    last = steps[-1]
    ours, rolled, theirs = bytes_per_span(last, peers)
    rows: list[tuple[str, float, float, str]] = []
    for peer in peers:
        rows.append((f"bytes per span ÷ {peer}", ours / theirs[peer], 0.6, ""))
        rows.append((f"the same with our rollups ÷ {peer}", (ours + rolled) / theirs[peer], 0.6, ""))
    for start, limit in (("trace by id", 30.0), ("fault = true, newest 50 of 1 h", 200.0), ("service map", 100.0)):
        rows += [
            (name, last.warm[name, who].wall * 1e3, limit, " ms")
            for name, who in last.warm
            if who == "fluoro" and name.startswith(start)
        ]
    wide = [step.warm[f"service map of {days} d", "fluoro"].cpu for step in steps]
    rows.append((f"CPU of the map of {days} d, {last.spans:,} ÷ {steps[0].spans:,}", wide[-1] / wide[0], 1.2, "x"))
    print(f"\n{'budget':<{_NAME}}{'measured':>12}{'at most':>12}")
    for name, value, limit, unit in rows:
        print(f"{name:<{_NAME}}{value:>10.2f}{unit:<3}{limit:>9g}{unit:<3} {'met' if value <= limit else 'MISSED'}")
