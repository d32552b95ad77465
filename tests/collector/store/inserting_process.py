"""Inserts segments in a loop and says after each insert that it returned. The test kills it."""

from __future__ import annotations

import sys

from contracts.segments import RESOURCE, full_segment
from fluoro_collector.store.embedded import Embedded
from fluoro_collector.store.store import Store

PER_BATCH = 20


def main(directory: str) -> None:
    store = Store(Embedded(directory))
    store.migrate()
    number = 0
    while True:
        number += 1
        store.insert(
            [(RESOURCE, [full_segment(id=number * PER_BATCH + k) for k in range(PER_BATCH)])], f"batch-{number}"
        )
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
