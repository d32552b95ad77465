"""guardian: ends the demo's processes when the launcher is gone without having done so (`kill -9`).

Reads from the launcher's pipe, one word and one argument a line: `start GROUP`, `end GROUP` and `keep DIR`. When the
pipe closes, it kills the process groups that have not ended and removes the directory it was started for, unless
told to keep it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    [directory] = sys.argv[1:] or [""]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it ends with the pipe, after everybody else
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "start":
            groups.add(int(argument))
        elif word == "end":
            groups.discard(int(argument))
        elif word == "keep":
            directory = ""
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    if directory:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
