"""What spans cost on disk and how long questions about them take, beside the table of OpenTelemetry's ClickHouse exporter.

    make bench-store [SPANS=10000000]      (or: python tests/bench/bench_store.py --spans 10000000 [--directory DIR])

One process, the embedded engine in a new directory, the same spans in both tables (`store_shapes.py`): 100 services, 20
days, traces of 5 to 20 spans. They are added in three steps, each over all the days, so the figures show what grows with
the number of spans; the rollup runs over everything after each step. Then all take turns, question by question, round by
round, and the table shows medians. "cold": the engine's caches and the page cache of its files are empty before each
round. "warm": the question was asked before, about something else where it asks for one trace. Absolute values depend on
the machine: read the ratios.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "sdk"), str(ROOT / "collector"), str(Path(__file__).parent)]

import store_inserts  # noqa: E402
import store_report  # noqa: E402
from store_measure import SLOW_S, Cost, cost, disk, forget, median, peak_mb, reset_peak  # noqa: E402
from store_peer import Peer  # noqa: E402
from store_questions import Question, Questions  # noqa: E402
from store_spans import DAY, Spans  # noqa: E402

from fluoro_collector.rollup import Rollup  # noqa: E402
from fluoro_collector.store.embedded import Embedded  # noqa: E402
from fluoro_collector.store.store import Store  # noqa: E402

STEPS = (0.1, 0.3, 1.0)  # shares of the spans
SPACE = 600  # bytes of free space wanted per span: three tables, and room to merge the largest part
INDEXES = ("bloom", "text")


@dataclass
class Step:
    """What was measured with so many spans. Costs of questions by (question, who)."""

    spans: int = 0
    traces: int = 0
    disk: dict[str, tuple[int, int]] = field(default_factory=dict)
    rollup: Cost = field(default_factory=lambda: Cost(0, 0))
    rolled: int = 0
    warm: dict[tuple[str, str], Cost] = field(default_factory=dict)
    cold: dict[tuple[str, str], Cost] = field(default_factory=dict)
    different: set[tuple[str, str]] = field(default_factory=set)
    memory: dict[str, float] = field(default_factory=dict)


class Bench:
    def __init__(self, directory: Path, spans: int, days: int, indexes: list[str], rounds: int) -> None:
        self.directory = directory
        self.wanted = spans
        self.days = days
        self.rounds = rounds
        self.began = time.monotonic()
        self.first = int(datetime.now(timezone.utc).timestamp()) // DAY * DAY - days * DAY
        self.end = self.first + days * DAY
        self.engine = Embedded(directory)
        self.store = Store(self.engine)
        self.store.migrate()
        self.peers = [Peer(self.engine, each) for each in indexes]
        for peer in self.peers:
            peer.create()
        self.spans = Spans(self.engine, self.first, days)
        self.rollup = Rollup(self.engine)
        self.questions = Questions(self.engine, self.rollup, self.first, self.end)
        self.traces = 0

    def say(self, text: str) -> None:
        seconds = int(time.monotonic() - self.began)
        print(f"[{seconds // 60:3d}:{seconds % 60:02d}] {text}", file=sys.stderr, flush=True)

    def run(self) -> list[Step]:
        steps = []
        stored = 0
        for share in STEPS:
            step = Step()
            reset_peak()
            stored += self.load(round(self.wanted * share) - stored)
            step.spans, step.traces = stored, self.traces
            step.memory["insert"] = peak_mb()
            self.roll(step)
            self.settle()
            step.disk = disk(self.engine)
            self.questions.look_around()
            last = share == STEPS[-1]
            for question in self.questions.all():
                self.ask(question, step, cold=last)
            steps.append(step)
        return steps

    def load(self, more: int) -> int:
        """Add about so many spans, spread over the days; how many it were."""
        per_day = round(more / self.days / self.spans.per_trace)
        stored = 0
        for day in range(self.days):
            self.say(f"{self.traces * self.spans.per_trace:12,.0f} spans: day {day + 1} of {self.days}")
            stored += self.spans.make(day, self.traces, per_day)
            self.traces += per_day
            self.engine.command(self.spans.insert_fluoro())
            for peer in self.peers:
                self.engine.command(self.spans.insert_otel(peer.table))
        self.engine.command("TRUNCATE TABLE bench_spans")
        return stored

    def roll(self, step: Step) -> None:
        """Every minute of every day anew, a day at a time."""
        reset_peak()
        costs = []
        for day in range(self.days):
            self.say(f"{step.spans:12,} spans: rollup of day {day + 1} of {self.days}")
            first = self.first + day * DAY
            self.rollup.touched(range(first, first + DAY, 60))
            _, spent = cost(self.rollup.run_once)
            costs.append(spent)
        step.rollup = Cost(sum(each.wall for each in costs), sum(each.cpu for each in costs))
        step.rolled = step.spans
        step.memory["rollup"] = peak_mb()

    def settle(self) -> None:
        """One part per partition everywhere, and no merge that would be measured."""
        for table in sorted(disk(self.engine)):
            self.say(f"merging {table}")
            self.engine.command(f"OPTIMIZE TABLE {table} FINAL")

    def ask(self, question: Question, step: Step, *, cold: bool) -> None:
        self.say(f"{step.spans:12,} spans: {question.name}")
        asked = {"fluoro": question.fluoro}
        asked |= {peer.name: partial(question.peer, peer) for peer in self.peers}
        warm: dict[str, list[Cost]] = {who: [] for who in asked}
        answers: dict[str, object] = {}
        for number in range(self.rounds + 1):
            for who, ask in asked.items():
                if len(warm[who]) >= 2 and sum(each.wall for each in warm[who]) > 2 * SLOW_S:
                    continue
                reset_peak()
                answer, spent = cost(partial(ask, number))
                step.memory[who] = max(step.memory.get(who, 0), peak_mb())
                warm[who].append(spent)
                if number == 0:
                    answers[who] = answer
        for who, costs in warm.items():
            step.warm[question.name, who] = median(costs[1:])  # the first round warms up
            if question.alike and answers[who] != answers["fluoro"]:
                step.different.add((question.name, who))
        if cold:
            for who, ask in asked.items():
                rounds = 1 if step.warm[question.name, who].wall > SLOW_S else 3
                costs = []
                for number in range(rounds):
                    forget(self.engine, self.directory)
                    costs.append(cost(partial(ask, self.rounds + 1 + number))[1])
                step.cold[question.name, who] = median(costs)

    def one_minute(self) -> Cost:
        """The rollup's usual work: the newest minute got rows."""
        costs = []
        for _ in range(self.rounds):
            self.rollup.touched([self.end - 60])
            costs.append(cost(self.rollup.run_once)[1])
        return median(costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="where the data goes; removed at the end. Default: TMPDIR")
    parser.add_argument(
        "--peers", nargs="*", choices=INDEXES, default=list(INDEXES), help="indexes of the peer's table"
    )
    options = parser.parse_args()
    if options.spans < 100_000:
        parser.error("--spans must be at least 100,000")
    directory = Path(tempfile.mkdtemp(prefix="fluoro-bench-store-", dir=options.directory))
    try:
        free, needed = shutil.disk_usage(directory).free, options.spans * SPACE
        if free < needed:
            raise SystemExit(
                f"{directory} has {free / 1e9:.1f} GB free, {options.spans:,} spans need {needed / 1e9:.1f}:"
                " give another --directory or fewer --spans"
            )
        bench = Bench(directory, options.spans, options.days, options.peers, options.rounds)
        try:
            steps = bench.run()
            bench.say("inserts")
            inserted = list(store_inserts.measure(bench.store, bench.engine, bench.peers, bench.end))
            minute = bench.one_minute()
        finally:
            bench.store.close()
        store_report.show(steps, inserted, minute, [peer.name for peer in bench.peers], options.days)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
