"""A reservoir, split among the clients that asked for it."""

from __future__ import annotations

from collections.abc import Mapping


def split(reservoir: int, demands: Mapping[str, int]) -> dict[str, int]:
    """Whole traces a second for each client; together at most `reservoir`, and all of it when anybody asked.

    Everyone gets 1 while any remains, those with the greatest demand first; the rest is shared by demand. A client never
    gets less than one that asked for less.
    """
    order = sorted(demands, key=lambda client: (-demands[client], client))
    quotas = {client: int(place < reservoir) for place, client in enumerate(order)}
    rest = reservoir - len(order)
    total = sum(demands.values())
    if rest <= 0 or total <= 0:
        return quotas
    # What each is short of its proportional share; together these are at least the rest.
    short = {client: max(reservoir * demands[client] - total, 0) for client in order}
    wanted = sum(short.values())
    left = rest
    remainders = []
    for place, client in enumerate(order):
        more, remainder = divmod(rest * short[client], wanted)
        quotas[client] += more
        left -= more
        remainders.append((-remainder, place, client))
    for _, _, client in sorted(remainders)[:left]:
        quotas[client] += 1
    return quotas
