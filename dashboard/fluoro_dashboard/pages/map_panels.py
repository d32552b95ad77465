"""Beside the map: the figures of the selected node or edge, or of everything. Every count leads to its traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fluoro_dashboard import client, filters, map_data, ranges
from fluoro_dashboard import format as fmt
from fluoro_dashboard.components.inspector import inspector
from fluoro_dashboard.components.ranking import ranking
from fluoro_dashboard.components.series import series
from fluoro_dashboard.pages import navigation

Json = dict[str, Any]
Expression = Callable[[str], str]
"""Outcome, or "" for any, to the filter expression that finds its traces."""

TABLE = "ranking"


class Shown(NamedTuple):
    graph: Json
    range: ranges.TimeRange
    covered: map_data.Covered


def node(item: Json, shown: Shown) -> None:
    label = map_data.type_label(item["type"])
    if item["inferred"] and item["type"] != "client":
        label += " · as its callers see it"
    title = map_data.title(item["name"], item["type"])
    if not item["total"]:
        silent = "These are the callers from outside." if item["type"] == "client" else "Has no figures of its own."
        _panel(item["id"], title, label, [{"kind": "note", "text": f"{silent} Select the line that leaves it."}], shown)
    else:

        def expression(outcome: str) -> str:
            return filters.node(item["name"], item["type"], outcome)

        _panel(item["id"], title, label, _sections(item, expression, shown), shown)
        _link("View traces", expression(""), shown)
        series(
            client.time_series(shown.range.start, shown.range.end, ranges.period(shown.range.seconds), item["id"]),
            key="series",
        )


def edge(item: Json, shown: Shown) -> None:
    nodes = {node["id"]: node for node in shown.graph["nodes"]}
    ends = nodes[item["source"]], nodes[item["target"]]
    label = "asynchronous link" if item["kind"] == "link" else "calls, as the caller sees them"
    if ends[0]["type"] == "client":
        label = "requests from outside"

    def expression(outcome: str) -> str:
        source, target = ((end["name"], end["type"]) for end in ends)
        return filters.edge(source, target, outcome)

    _panel(
        item["id"],
        " → ".join(map_data.title(end["name"], end["type"]) for end in ends),
        label,
        _sections(item, expression, shown),
        shown,
    )
    _link("View traces", expression(""), shown)


def gone(id_: str, shown: Shown) -> None:
    """A node or edge that a link names and that is not in this range."""
    _panel("gone", id_, "no traffic in this time range", [], shown)


def overview(shown: Shown, on_pick: Callable[[], None]) -> None:
    """`on_pick` is called with `st.session_state[TABLE]["pick"]` = the id of a node that was picked in the table."""
    total = map_data.overview(shown.graph)
    failing = total["error"] + total["throttle"] + total["fault"]
    sections: list[Json] = [
        {
            "kind": "tiles",
            "tiles": [
                {"label": "Requests in", "value": fmt.rate(total["total"] / shown.covered.seconds)},
                {"label": "Average", "value": fmt.duration(map_data.average(total))},
                {"label": "Not OK", "value": fmt.percent(failing / total["total"] if total["total"] else 0.0)},
                {"label": "Services", "value": fmt.count(total["services"])},
            ],
        },
        *_note(shown),
    ]
    if total["total"]:
        sections.append(_shares(total, filters.clients if total["entries"] else None, shown))
    _panel("overview", "Everything", "select a service or a line for its figures", sections, shown)
    ranking(map_data.ranking(shown.graph, shown.covered), on_pick, key=TABLE)


def _panel(key: str, title: str, subtitle: str, sections: list[Json], shown: Shown) -> None:
    """A panel. A click on one of its counts opens the search."""
    wanted = inspector(
        {"key": key, "title": title, "subtitle": subtitle, "tabs": [{"name": "", "sections": sections}]}, key="panel"
    )
    if wanted:
        navigation.go(navigation.TRACES, {"filter": wanted, **shown.range.params()})


def _sections(item: Json, expression: Expression, shown: Shown) -> list[Json]:
    return [
        {
            "kind": "tiles",
            "tiles": [
                {"label": "Traffic", "value": fmt.rate(item["total"] / shown.covered.seconds)},
                {"label": "p50", "value": fmt.duration(item["p50"])},
                {"label": "p95", "value": fmt.duration(item["p95"])},
                {"label": "p99", "value": fmt.duration(item["p99"])},
            ],
        },
        *_note(shown),
        _shares(item, expression, shown),
        {
            "kind": "histogram",
            "pairs": item["histogram"],
            "marks": [["p50", item["p50"]], ["p95", item["p95"]], ["p99", item["p99"]]],
        },
    ]


def _note(shown: Shown) -> list[Json]:
    return [{"kind": "note", "text": shown.covered.note}] if shown.covered.note else []


def _shares(item: Json, expression: Expression | None, shown: Shown) -> Json:
    counts = [item[outcome] for outcome in map_data.OUTCOMES]
    if expression is None:
        return {"kind": "shares", "counts": counts}
    wanted = [expression(outcome) if item[outcome] else None for outcome in map_data.OUTCOMES]
    return {
        "kind": "shares",
        "counts": counts,
        "filters": wanted,
        "hrefs": [
            each and navigation.url(navigation.TRACES, {"filter": each, **shown.range.params()}) for each in wanted
        ],
    }


def _link(label: str, expression: str, shown: Shown) -> None:
    params = {"filter": expression, **shown.range.params()}
    navigation.link(navigation.TRACES, label, params, icon=":material/search:")
