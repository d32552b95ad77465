"""The ledger: what became of every segment that reached a door, and the figures `/metrics` shows.

For each door, at any moment:

    received = stored + sum(rejected by reason) + sum(dropped by reason) + in flight

The unit is a segment (X-Ray segment or subsegment, OTel span). A body or datagram that cannot be decoded counts as
one. *Rejected* means the sender was told; *dropped* means it was not (UDP has no reply). *In flight* is decoded and
not yet committed. A segment that is refused and sent again is received twice.

Counters belong to the event loop: change them there only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Door:
    """The ledger of one door. `replies` is False where a sender cannot be told that its segment was refused."""

    replies: bool = True
    received: int = 0
    stored: int = 0
    in_flight: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def receive(self, count: int) -> None:
        """`count` segments came in; every one must later be settled by `store` or `refuse`."""
        self.received += count
        self.in_flight += count

    def store(self, count: int) -> None:
        """`count` of those in flight are durable."""
        self.in_flight -= count
        self.stored += count

    def refuse(self, reason: str, count: int = 1) -> None:
        """`count` of those in flight will not be stored; rejected or dropped, as the door can or cannot reply."""
        self.in_flight -= count
        (self.rejected if self.replies else self.dropped)[reason] += count

    def refuse_undecoded(self, reason: str) -> None:
        """A body or datagram came in and could not be decoded, or was not even looked at."""
        self.receive(1)
        self.refuse(reason)


class Counters:
    """The doors' ledgers and the commit figures of one process."""

    def __init__(self) -> None:
        self.doors = {
            "grpc": Door(),
            "http-otlp": Door(),
            "http-native": Door(),
            "xray-udp": Door(replies=False),
            "xray-http": Door(),
        }
        self.commits = 0
        self.commit_failures = 0
        self.commit_seconds = 0.0
        self.buffer_bytes = 0
        self.rollup_minutes = 0
        self.rollup_failures = 0
        self.daemon_segments = Counter(dict.fromkeys(("received", "sent", "spillover", "rejected"), 0))
        self.daemon_errors = 0

    def door(self, name: str) -> Door:
        """The ledger of door `name`; a door not named above is added, with replies."""
        found = self.doors.get(name)
        if found is None:
            found = self.doors[name] = Door()
        return found

    def rejections(self) -> dict[str, int]:
        """Refused segments by reason over all doors, told or not."""
        total: Counter[str] = Counter()
        for door in self.doors.values():
            total.update(door.rejected)
            total.update(door.dropped)
        return dict(total)

    def daemons_reported(self, segments: Mapping[str, int], errors: int) -> None:
        """What X-Ray daemons say of themselves; see `fluoro_daemon_segments_total`."""
        self.daemon_segments.update(segments)
        self.daemon_errors += errors

    def exposition(self) -> str:
        """The figures in Prometheus' text format 0.0.4."""
        lines: list[str] = []

        def family(name: str, kind: str, text: str, samples: list[tuple[dict[str, str], float]]) -> None:
            lines.append(f"# HELP {name} {text}")
            lines.append(f"# TYPE {name} {kind}")
            for labels, value in samples:
                inner = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
                lines.append(f"{name}{{{inner}}} {value}" if inner else f"{name} {value}")

        doors = self.doors.items()
        family(
            "fluoro_segments_received_total",
            "counter",
            "Segments that reached a door; equals stored + rejected + dropped + in flight.",
            [({"door": name}, door.received) for name, door in doors],
        )
        family(
            "fluoro_segments_stored_total",
            "counter",
            "Segments committed to the store.",
            [({"door": name}, door.stored) for name, door in doors],
        )
        family(
            "fluoro_segments_rejected_total",
            "counter",
            "Segments refused with an answer to the sender.",
            [({"door": name, "reason": r}, n) for name, door in doors for r, n in sorted(door.rejected.items())],
        )
        family(
            "fluoro_segments_dropped_total",
            "counter",
            "Segments refused at a door that cannot answer.",
            [({"door": name, "reason": r}, n) for name, door in doors for r, n in sorted(door.dropped.items())],
        )
        family(
            "fluoro_segments_in_flight",
            "gauge",
            "Segments decoded and not yet committed.",
            [({"door": name}, door.in_flight) for name, door in doors],
        )
        family("fluoro_commits_total", "counter", "Blocks inserted.", [({}, self.commits)])
        family("fluoro_commit_failures_total", "counter", "Inserts that failed.", [({}, self.commit_failures)])
        family("fluoro_commit_seconds_total", "counter", "Time spent in inserts.", [({}, self.commit_seconds)])
        family("fluoro_ingest_buffer_bytes", "gauge", "Bytes waiting for a commit.", [({}, self.buffer_bytes)])
        family(
            "fluoro_rollup_minutes_total",
            "counter",
            "Minutes of the service map recomputed.",
            [({}, self.rollup_minutes)],
        )
        family("fluoro_rollup_failures_total", "counter", "Rollup runs that failed.", [({}, self.rollup_failures)])
        family(
            "fluoro_daemon_segments_total",
            "counter",
            "Segments that X-Ray daemons say they received, sent, dropped for lack of room, or had rejected.",
            [({"result": name}, count) for name, count in self.daemon_segments.items()],
        )
        family(
            "fluoro_daemon_errors_total",
            "counter",
            "Failed calls to their backend that X-Ray daemons reported.",
            [({}, self.daemon_errors)],
        )
        return "\n".join(lines) + "\n"


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
