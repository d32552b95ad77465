"""How the insights of a group change from one minute to the next. Pure: what was, and what the minute showed.

Two collectors that look at the same minute come to the same insights, with the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from fluoro_collector.query.graph.graph_minutes import MINUTE
from fluoro_collector.query.graph.outcomes import NONE, Outcomes, Pair
from fluoro_collector.query.graph.service_graph import NodeKey

from . import words
from .detect import WINDOW, Verdict
from .insight import MAX_EVENTS, Event, Impact, Insight, Service, insight_id
from .merge import clients_of, links, reach, root_cause, together

QUIET_S = 600  # without a service out of its band an insight is over
TOP = 10  # anomalous services named
MOST_TOUCHED = 100
LEVELS = (0.01, 0.05, 0.2, 0.5)  # shares of failing client requests; crossing one is an event
STEADY = 3  # minutes that a level must last to be told
PERIODIC_S = 1800  # an event at least so often


class Look(NamedTuple):
    """What one minute showed: `recent` are the last minutes (the newest is `minute`), `verdicts` of nodes that were
    judged, `usual` their usual shares of faults.
    """

    minute: int
    recent: Sequence[Outcomes]
    verdicts: Mapping[NodeKey, Verdict]
    usual: Mapping[NodeKey, float]

    @property
    def edges(self) -> list[Pair]:
        return list({pair: None for moment in self.recent for pair in moment.edges})


class Group(NamedTuple):
    name: str
    arn: str


def evolve(group: Group, active: Sequence[Insight], look: Look) -> tuple[list[Insight], list[Insight]]:
    """(insights that are new or changed, active ones that have become part of an older one).

    Of `active` those that have seen the minute already are left alone.
    """
    edges = look.edges
    known = [each for each in active if each.end is None and each.checked < look.minute]
    begun = {node for node, verdict in look.verdicts.items() if verdict.anomalous}
    going = {each.key for one in known for each in one.touched if _out(look, each.key)}
    held = [{each.key for each in (one.root, *one.touched)} for one in known]
    changed: list[Insight] = []
    absorbed: list[Insight] = []
    for part in together(begun | going | {node for nodes in held for node in nodes}, edges, held):
        here = sorted(
            (one for one, nodes in zip(known, held, strict=True) if nodes & part), key=lambda one: (one.start, one.id)
        )
        anomalous = {node: look.verdicts[node].faults for node in (begun | going) & part}
        if not here and anomalous:
            changed.append(_open(group, anomalous, look, edges))
        elif here:
            first, *rest = here
            absorbed += rest
            touched = dict.fromkeys((*first.touched, *(each for one in rest for each in one.touched)))
            changed.append(_next(replace(first, touched=tuple(touched)[:MOST_TOUCHED]), anomalous, look, edges))
    return changed, absorbed


def close(insight: Insight, why: str) -> Insight:
    """The insight ended with what was seen last."""
    closed = replace(insight, end=insight.out + MINUTE)
    closed = replace(closed, summary=_summary(closed))
    return _tell(closed, closed.checked + MINUTE, f"{why} {closed.summary}", last=True)


def _out(look: Look, node: NodeKey) -> bool:
    verdict = look.verdicts.get(node)
    return verdict is not None and any(verdict.out)


def _ranked(anomalous: Mapping[NodeKey, int]) -> tuple[Service, ...]:
    return tuple(Service(*node) for node in sorted(anomalous, key=lambda node: (-anomalous[node], node))[:TOP])


def _open(group: Group, anomalous: Mapping[NodeKey, int], look: Look, edges: Sequence[Pair]) -> Insight:
    root = Service(*root_cause(anomalous, edges))
    back = max(len(verdict.out) - verdict.out.index(True) for verdict in map(look.verdicts.__getitem__, anomalous))
    start = look.minute - (back - 1) * MINUTE
    services = _ranked(anomalous)
    made = Insight(
        id=insight_id(group.name, root, start),
        group=group.name,
        group_arn=group.arn,
        root=root,
        start=start,
        checked=look.minute,
        out=look.minute,
        usual=look.usual[root.key],
        services=services,
        touched=services,
    )
    for outcomes in look.recent[-back:]:
        made = _count(made, outcomes, edges)
    made = _settled(made)
    made = replace(made, summary=_summary(made), told_share=_client_share(made, look.recent[-STEADY:], edges))
    return _tell(made, look.minute + MINUTE, made.summary)


def _next(insight: Insight, anomalous: Mapping[NodeKey, int], look: Look, edges: Sequence[Pair]) -> Insight:
    """The insight after one more minute."""
    now = look.minute + MINUTE
    before = insight
    if anomalous:
        deepest = root_cause(anomalous, edges)
        # The cause does not go back and forth: another one is deeper, or the former has recovered.
        if deepest != before.root.key and (
            before.root.key not in anomalous or before.root.key in reach([deepest], links(edges, backwards=True))
        ):
            begun = Impact()
            for outcomes in look.recent[-WINDOW:-1]:
                begun = begun.plus(outcomes.nodes.get(deepest, NONE))
            insight = replace(insight, root=Service(*deepest), usual=look.usual[deepest])
            insight = replace(insight, root_impact=Impact(), pending_root=begun, told_root=Impact())
        services = _ranked(anomalous)
        touched = tuple(dict.fromkeys((*insight.touched, *services)))[:MOST_TOUCHED]
        insight = replace(insight, services=services, touched=touched)
    insight = replace(_count(insight, look.recent[-1], edges), checked=look.minute)
    if any(look.verdicts[node].out[-1] for node in anomalous):
        insight = replace(_settled(insight), out=look.minute)
    if look.minute - insight.out >= QUIET_S:
        return close(insight, "Over.")
    insight = replace(insight, summary=_summary(insight))
    share = _client_share(insight, look.recent[-STEADY:], edges)
    steady = _level(_client_share(insight, look.recent[-1:], edges)) == _level(share)
    news = _news(before, insight, share if steady else insight.told_share, now)
    return _tell(replace(insight, told_share=share), now, news) if news else insight


def _news(before: Insight, insight: Insight, share: float, now: int) -> str:
    """What changed enough to be an event; "" when nothing did. `share`: of client requests that fail now."""
    parts = []
    if insight.root != before.root:
        parts.append(f"{words.name(insight.root)} is now taken for the cause.")
    told = insight.events[-1].services
    joined = [each for each in insight.services if each not in told and each != insight.root]
    left = [each for each in told if each not in insight.services]
    if joined:
        parts.append(f"{words.names(joined)} left the band too.")
    if left:
        parts.append(f"{words.names(left)} recovered.")
    told_share = insight.told_share
    # Twice as many or half as few: what goes to and fro around a level is told once.
    if _level(share) != _level(told_share) and not told_share / 2 < share < told_share * 2:
        parts.append(f"{words.share(share)} of client requests fail now, it was {words.share(told_share)}.")
    if not parts and now - insight.events[-1].time >= PERIODIC_S:
        parts.append("It goes on.")
    return " ".join(parts)


def _level(share: float) -> int:
    return sum(share >= level for level in LEVELS)


def _client_share(insight: Insight, recent: Sequence[Outcomes], edges: Sequence[Pair]) -> float:
    """Of client requests that failed in these minutes."""
    pairs = clients_of(insight.root.key, edges)
    sums = Impact()
    for outcomes in recent:
        for pair in pairs:
            sums = sums.plus(outcomes.edges.get(pair, NONE))
    return sums.share


def _count(insight: Insight, outcomes: Outcomes, edges: Sequence[Pair]) -> Insight:
    """With the requests of one more minute, which may or may not be the last."""
    client = insight.pending_client
    for pair in clients_of(insight.root.key, edges):
        client = client.plus(outcomes.edges.get(pair, NONE))
    root = insight.pending_root.plus(outcomes.nodes.get(insight.root.key, NONE))
    return replace(insight, pending_client=client, pending_root=root)


def _settled(insight: Insight) -> Insight:
    """What was pending belongs to the insight."""
    client, root = insight.client.plus(insight.pending_client), insight.root_impact.plus(insight.pending_root)
    return replace(insight, client=client, root_impact=root, pending_client=Impact(), pending_root=Impact())


def _summary(insight: Insight) -> str:
    others = [each for each in insight.services if each != insight.root]
    return words.summary(
        insight.root, insight.start, insight.end, insight.usual, insight.root_impact, insight.client, others
    )


def _tell(insight: Insight, time: int, text: str, *, last: bool = False) -> Insight:
    """With one more event; when there are too many only the end is told."""
    if len(insight.events) >= MAX_EVENTS - (not last):
        return insight
    client = insight.client.minus(insight.told_client)
    root = insight.root_impact.minus(insight.told_root)
    event = Event(time, text, client, root, insight.services)
    return replace(
        insight,
        events=(*insight.events, event),
        told_client=insight.client,
        told_root=insight.root_impact,
    )
