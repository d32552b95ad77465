"""An exception → the records that go into a segment's `cause`. Pure; keeps neither frames nor exceptions alive."""

from __future__ import annotations

from types import TracebackType

from fluoro.model import ExceptionRecord, Frame

MAX_FRAMES = 50
MAX_EXCEPTIONS = 10
MAX_MESSAGE = 2_048


def exception_records(error: BaseException, new_id: int, *, remote: bool = False) -> list[ExceptionRecord]:
    """`error` first, then what it was raised from (`__cause__`, or `__context__` unless suppressed), at most ten.

    An exception group is followed by the first exception in it: task groups wrap what the application raised.
    The first record's id is `new_id`, the others count up from it: 16 hex digits. A chain that was cut says in
    `skipped` of its last record how many it left out.
    """
    records: list[ExceptionRecord] = []
    seen: set[int] = set()
    skipped = 0
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if len(records) == MAX_EXCEPTIONS:
            skipped += 1
        else:
            identity = f"{(new_id + len(records)) & 0xFFFF_FFFF_FFFF_FFFF:016x}"
            if records:
                records[-1].cause = identity
            frames, truncated = _frames(current.__traceback__)
            records.append(
                ExceptionRecord(identity, type_name(current), message(current), remote, frames, "", truncated)
            )
        current = (
            _first_of_group(current)
            or current.__cause__
            or (None if current.__suppress_context__ else current.__context__)
        )
    records[-1].skipped = skipped
    return records


def _first_of_group(error: BaseException) -> BaseException | None:
    members = getattr(error, "exceptions", None)  # Python 3.10 has the backport's class only
    first = members[0] if isinstance(members, tuple) and members else None
    return first if isinstance(first, BaseException) else None


def type_name(error: BaseException) -> str:
    """`module.QualifiedName`, without the module for built-in exceptions (OpenTelemetry's `exception.type`)."""
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def message(error: BaseException) -> str:
    """`str(error)`, at most 2,048 characters, and a remark in its place when `__str__` itself fails."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  a hostile __str__ must not replace the application's own exception
        return "(the message of this exception cannot be read)"
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _frames(trace: TracebackType | None) -> tuple[list[Frame], int]:
    """Deepest first; of a deeper stack than 50 the deepest 50, and how many were left out."""
    links: list[TracebackType] = []
    while trace is not None:
        links.append(trace)
        trace = trace.tb_next
    frames = []
    for link in links[: -MAX_FRAMES - 1 : -1]:
        code = link.tb_frame.f_code
        # co_qualname is new in 3.11.
        frames.append(Frame(code.co_filename, link.tb_lineno or 0, getattr(code, "co_qualname", code.co_name)))
    return frames, max(0, len(links) - MAX_FRAMES)
