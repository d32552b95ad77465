"""What an insight says to a person, in one or two sentences."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .insight import Impact, Service

_SHOWN = 3  # services named one by one
_LONGEST = 80  # characters of a name


def name(service: Service) -> str:
    text = _cut(service.name)
    return f"{text} ({_cut(service.type)})" if service.type else text


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def names(services: Sequence[Service]) -> str:
    shown = [name(each) for each in services[:_SHOWN]]
    more = len(services) - len(shown)
    if more:
        shown.append(f"{more} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def share(value: float) -> str:
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"


def clock(second: int) -> str:
    return time.strftime("%H:%M", time.gmtime(second))


def summary(
    root: Service,
    start: int,
    end: int | None,
    usual: float,
    root_impact: Impact,
    client: Impact,
    others: Sequence[Service],
) -> str:
    """What fails, how much, since when, and whom it concerns."""
    when = f"since {clock(start)} UTC" if end is None else f"from {clock(start)} to {clock(end)} UTC"
    text = f"{name(root)}: {share(root_impact.share)} of {root_impact.total:,} requests failed {when}; {share(usual)} are usual."
    if others:
        text += f" {names(others)} {'is' if len(others) == 1 else 'are'} affected too."
    if client.total:
        text += f" {share(client.share)} of {client.total:,} client requests failed."
    return text
