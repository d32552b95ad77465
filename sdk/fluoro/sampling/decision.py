"""What a sampler is asked and answers. Made in advance and shared: deciding allocates nothing."""

from __future__ import annotations

from collections.abc import Callable


class Decision:
    """`sampled`: record this trace. `rule` is the name of X-Ray's rule that said so, "" without one.

    `anomalous()` is to be called when the request went wrong, recorded or not; None where nobody counts that.
    """

    __slots__ = ("anomalous", "rule", "sampled")

    def __init__(self, sampled: bool, rule: str = "", anomalous: Callable[[], None] | None = None) -> None:
        self.sampled = sampled
        self.rule = rule
        self.anomalous = anomalous


RECORD = Decision(True)
LEAVE = Decision(False)

# (trace id, service's name, operation, HTTP method, URL) → the decision. Method and URL are "" where the trace does not
# begin with an HTTP request.
Sampler = Callable[[bytes, str, str, str, str], Decision]
