"""The text of a Python traceback → exception records with frames, as X-Ray keeps them."""

from __future__ import annotations

import re

from fluoro.model import ExceptionRecord, Frame

MAX_FRAMES = 50
MAX_EXCEPTIONS = 10

_MASK = (1 << 64) - 1
_HEADER = "Traceback (most recent call last):"
_GROUP_HEADER = "  + Exception Group Traceback (most recent call last):"
_CHAINS = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_FRAME = re.compile(r'  File "(?P<path>.*)", line (?P<line>\d{1,9})(?:, in (?P<label>.*))?')
_REPEATED = re.compile(r"  \[Previous line repeated (\d{1,9}) more times?\]")


def parse_traceback(text: str, seed: int, *, remote: bool = False) -> list[ExceptionRecord]:
    """The exceptions of `text`: the one raised last first, then what it came from, each linked by `cause`.

    Frames are deepest first, at most 50, the rest counted in `truncated`. Ids are 16 hex digits counting up from
    `seed`. Of an exception group only the group itself is read. [] if `text` is no Python traceback.
    """
    if _HEADER not in text and not text.startswith(_GROUP_HEADER):
        return []
    sections = _sections(text.splitlines())
    records: list[ExceptionRecord] = []
    for lines in reversed(sections):
        record = _exception(lines)
        if record is None:
            continue
        if len(records) == MAX_EXCEPTIONS:
            records[-1].skipped += 1
            continue
        record.id = f"{(seed + len(records)) & _MASK:016x}"
        record.remote = remote
        if records:
            records[-1].cause = record.id
        records.append(record)
    return records


def _sections(lines: list[str]) -> list[list[str]]:
    """The lines of each exception of a chain, oldest first."""
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.strip(" |") in _CHAINS:
            sections.append([])
        else:
            sections[-1].append(line)
    return sections


def _exception(lines: list[str]) -> ExceptionRecord | None:
    """Frames up to the line that is no longer indented: `Type: message`, whose message may go on over further lines."""
    while lines and not lines[0].strip():
        lines = lines[1:]
    if lines and lines[0] == _GROUP_HEADER:
        lines = _group(lines)
    if not lines or lines[0] != _HEADER:
        return None
    frames: list[Frame] = []
    repeated = 0
    for index, line in enumerate(lines[1:], 1):
        match = _FRAME.fullmatch(line)
        if match:
            frames.append(Frame(match["path"], int(match["line"]), match["label"] or ""))
            continue
        again = _REPEATED.fullmatch(line)
        if again:
            repeated += int(again[1])
        elif line and not line[0].isspace():
            kind, _, message = "\n".join(lines[index:]).rstrip("\n").partition(": ")
            if "\n" in kind:
                kind, message = "\n".join(lines[index:]).partition("\n")[::2]
            return _record(frames, repeated, kind.strip(), message)
    return _record(frames, repeated, "", "") if frames else None


def _record(frames: list[Frame], repeated: int, kind: str, message: str) -> ExceptionRecord:
    deepest = frames[::-1]
    return ExceptionRecord(
        type=kind,
        message=message,
        stack=deepest[:MAX_FRAMES],
        truncated=max(0, len(deepest) - MAX_FRAMES) + repeated,
    )


def _group(lines: list[str]) -> list[str]:
    """The group's own lines without their margin; its members follow the first "+----" rule and are left out."""
    own = [_HEADER]
    for line in lines[1:]:
        if line.lstrip().startswith("+-"):
            break
        own.append(line.removeprefix("  | "))
    return own
