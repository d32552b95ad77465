"""`python -m fluoro_collector serve`."""

from __future__ import annotations

import sys

from fluoro_collector.cli import command

if __name__ == "__main__":
    sys.exit(command())
