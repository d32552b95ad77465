"""Which traces are recorded, when nobody upstream has decided.

    decision   what a sampler is asked and answers
    ratio      a share of the traces, by their ids
    matching   one rule's patterns against one entry, in linear time
    reservoir  so many traces a second, then a share of the rest; a quota that the service lends
    rules      X-Ray's rules: read, ordered, matched, counted
    local      rules from a file, X-Ray's local format, versions 1 and 2
    central    rules and quotas from X-Ray or the collector, over X-Ray's two sampling operations
    client     these two operations over HTTP

The default, everything, is the recorder's None and costs nothing. Nothing here runs for a trace whose caller has decided.
"""

from __future__ import annotations

from fluoro.sampling.decision import LEAVE, RECORD, Decision, Sampler

__all__ = ["LEAVE", "RECORD", "Decision", "Sampler"]
