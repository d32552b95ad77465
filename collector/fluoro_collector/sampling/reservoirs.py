"""Who asked for a rule's reservoir lately, and what is lent to whom.

What is lent never adds up to more than the reservoir: a client that comes new gets what the others have left, and its
whole share when they have reported again. A client is active until it has not reported for two intervals.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from .quota import split

INTERVAL_S = 10  # how often clients report
ACTIVE_S = 2 * INTERVAL_S + 5.0  # clients add jitter, and act in ticks of 10 s
MOST_CLIENTS = 10_000  # of one rule; one more gets no quota
_SMALL = 200  # with more clients, shares are computed once in SHARES_S
_SHARES_S = 1.0


@dataclass
class _Client:
    demand: int
    reported: float
    quota: int = 0


@dataclass
class _Reservoir:
    clients: dict[str, _Client] = field(default_factory=dict)
    lent: int = 0
    shares: dict[str, int] = field(default_factory=dict)
    shared: float = float("-inf")
    size: int = 0

    def share(self, size: int, now: float) -> None:
        for name in [name for name, client in self.clients.items() if now - client.reported > ACTIVE_S]:
            self.lent -= self.clients.pop(name).quota
        self.shares = split(size, {name: client.demand for name, client in self.clients.items()})
        self.shared, self.size = now, size


class Reservoirs:
    """Thread-safe, and never blocks on a store. Times are epoch seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[str, _Reservoir] = {}

    def lend(self, rule: str, size: int, client: str, demand: int, now: float) -> int:
        """Traces a second for a client that just counted `demand` requests."""
        with self._lock:
            reservoir = self._rules.setdefault(rule, _Reservoir())
            found = reservoir.clients.get(client)
            if found is None:
                if len(reservoir.clients) >= MOST_CLIENTS:
                    return 0
                found = reservoir.clients[client] = _Client(demand, now)
            found.demand, found.reported = demand, now
            fresh = reservoir.size == size and 0 <= now - reservoir.shared < _SHARES_S
            if len(reservoir.clients) <= _SMALL or not fresh:
                reservoir.share(size, now)
            others = reservoir.lent - found.quota
            found.quota = max(0, min(reservoir.shares.get(client, 0), size - others))
            reservoir.lent = others + found.quota
            return found.quota

    def learn(self, rule: str, client: str, demand: int, quota: int, reported: float) -> None:
        """What another collector lent, unless the client has reported here since."""
        with self._lock:
            reservoir = self._rules.setdefault(rule, _Reservoir())
            found = reservoir.clients.get(client)
            if found is None:
                if len(reservoir.clients) >= MOST_CLIENTS:
                    return
                found = reservoir.clients[client] = _Client(demand, reported)
            elif found.reported >= reported:
                return
            reservoir.lent += quota - found.quota
            found.demand, found.reported, found.quota = demand, reported, quota

    def forget(self, rule: str) -> None:
        """Nobody has anything of this rule's reservoir."""
        with self._lock:
            self._rules.pop(rule, None)

    def keep_only(self, rules: set[str]) -> None:
        """Forget the reservoirs of rules that are gone."""
        with self._lock:
            for name in self._rules.keys() - rules:
                del self._rules[name]
