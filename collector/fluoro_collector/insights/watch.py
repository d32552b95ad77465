"""The job that looks at every group with insights switched on, minute by minute.

What it knows is in the store: an active insight says which minute was looked at last. So a restart goes on where the
process before it stopped, at most `CATCH_UP_S` back, and of several collectors over one store whichever comes first does
the work; what two of them open at one moment has the same id, or is merged into the older one a minute later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.graph.graph_minutes import MINUTE
from fluoro_collector.query.graph.outcomes import NONE, Outcomes, Source
from fluoro_collector.query.graph.service_graph import NodeKey
from fluoro_collector.query.groups import Group
from fluoro_collector.store.engine import Engine, StoreError

from . import evolve, keep
from .detect import WINDOW, Expected, Verdict, judge
from .history import History
from .insight import Insight

log = logging.getLogger(__name__)

EVERY_S = 30.0  # between two runs: a minute is looked at soon after its time has come
# A minute is looked at when its rows have arrived and other collectors have rolled theirs up.
LAG_S = 60
CATCH_UP_S = 3600
LOOK_BACK = 10  # minutes whose edges make the map; the last WINDOW of them are judged


class Watch:
    """`run_once` blocks on the engine. `source` gives the outcomes of a group, `now` epoch seconds; `oldest` as in `History`."""

    def __init__(
        self,
        engine: Engine,
        groups: Callable[[], Sequence[Group]],
        source: Callable[[Group], Source],
        now: Callable[[], float] = time.time,
        oldest: Callable[[], int] = lambda: 0,
    ) -> None:
        self._engine = engine
        self._groups = groups
        self._source = source
        self._now = now
        self._oldest = oldest
        self._running = threading.Lock()
        self._histories: dict[tuple[str, str], History] = {}  # by name and expression
        self._checked: dict[str, int] = {}  # minute by group; the store knows it while an insight is active

    def run_once(self) -> int:
        """Look at the minutes since the last time; how many insights were opened or changed.

        A group whose expression cannot be answered is logged and left out. Raises StoreError, StoreBusy, after the other
        groups had their turn; such a group is looked at again the next time.
        """
        with self._running:
            watched = {group.name: group for group in self._groups() if group.insights}
            keys = {(group.name, group.expression) for group in watched.values()}
            self._histories = {key: kept for key, kept in self._histories.items() if key in keys}
            now = self._now()
            stored = keep.find(self._engine, now - CATCH_UP_S - evolve.QUIET_S, events=True)
            changed = 0
            for name in sorted({each.group for each in stored if each.end is None} - watched.keys()):
                over = [each for each in stored if each.group == name and each.end is None]
                keep.save(self._engine, [evolve.close(each, "The group is not watched any more.") for each in over])
                changed += len(over)
            failed: StoreError | None = None
            for group in watched.values():
                try:
                    changed += self._look(group, [each for each in stored if each.group == group.name], now)
                except FilterError as error:
                    log.warning("insights of group %s: its expression cannot be answered: %s", group.name, error)
                except StoreError as error:
                    failed = error
            if failed is not None:
                raise failed
            return changed

    def _look(self, group: Group, stored: list[Insight], now: float) -> int:
        last = int(now - LAG_S) // MINUTE * MINUTE
        seen = max([self._checked.get(group.name, 0), *(each.checked for each in stored)])
        first = max(seen + MINUTE, last - CATCH_UP_S)
        if first >= last:
            return 0
        source = self._source(group)
        history = self._histories.setdefault((group.name, group.expression), History(source, self._oldest))
        moments = source(first - (LOOK_BACK - 1) * MINUTE, last, MINUTE, True)
        active = {each.id: each for each in stored if each.end is None}
        changed: dict[str, Insight] = {}
        gone: dict[str, Insight] = {}
        for minute in range(first, last, MINUTE):
            recent = [moments[each] for each in range(minute - (LOOK_BACK - 1) * MINUTE, minute + MINUTE, MINUTE)]
            verdicts, usual = judged(recent[-WINDOW:], history.expected(minute))
            look = evolve.Look(minute, recent, verdicts, usual)
            new, absorbed = evolve.evolve(evolve.Group(group.name, group.arn), list(active.values()), look)
            for each in absorbed:
                gone[each.id] = active.pop(each.id)
                changed.pop(each.id, None)
            for each in new:
                changed[each.id] = active[each.id] = each
                if each.end is not None:
                    del active[each.id]
        keep.save(self._engine, changed.values(), gone.values())
        self._checked[group.name] = last - MINUTE
        return len(changed)


def judged(
    window: Sequence[Outcomes], expected: Callable[[NodeKey], Expected | None]
) -> tuple[dict[NodeKey, Verdict], dict[NodeKey, float]]:
    """Verdicts, and usual shares of faults, of the nodes that had faults in the window; others are in their band."""
    failing = {node for outcomes in window for node, counts in outcomes.nodes.items() if counts.fault}
    verdicts: dict[NodeKey, Verdict] = {}
    usual: dict[NodeKey, float] = {}
    for node in failing:
        known = expected(node)
        if known is not None:
            verdicts[node] = judge(known, [outcomes.nodes.get(node, NONE) for outcomes in window])
            usual[node] = known.rate
    return verdicts, usual
