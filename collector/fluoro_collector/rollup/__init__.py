"""The service map and the traces, kept up to date: `segments` → `edges_1m`, `nodes_1m`, `traces` → hours → days.

A minute is always computed anew from all its de-duplicated segments and replaced as a whole: every row of a run carries
the run's version, and readers use only the rows of a minute's greatest version. So late data corrects the picture,
duplicates count once, and a node that is gone (an inferred one whose callee reported late) leaves no trace. Each
recomputed minute also gets a row with an empty key: it says which version is current even when nothing is left. Hours and
days are added up anew in the same way, when something in them was replaced, but at most every five minutes: until then they
are read in what they are made of.

A new row can change other minutes of its trace: a late callee takes the inferred node away from its caller's minute. So
a dirty minute makes all minutes dirty in which its new traces have rows (within `REACH`).

A trace arrives in pieces, from several senders. Rows that came in during the last `settle_s` seconds are not settled: the
map does not yet draw what the missing pieces would deny (`observations.sql`), and their minutes stay dirty.

Questions compute dirty minutes live, the newest first, as long as these hold at most `live_rows` rows: what is over that
answers as of the last run. An hour or a day with a dirty minute is read in minutes. Answers are kept until a commit, a run,
or rows that became settled change them.

A crash in mid-run loses nothing: a new process finds minutes with rows younger than their version, and hours and days older
than what is in them.
"""

from .job import LIVE_ROWS, PERIODS_EVERY_S, SETTLE_S, Rollup

__all__ = ["LIVE_ROWS", "PERIODS_EVERY_S", "SETTLE_S", "Rollup"]
