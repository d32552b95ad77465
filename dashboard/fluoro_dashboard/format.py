"""Numbers, times and hostile text as people read them. `frontend/format.js` does the same in the browser."""

from __future__ import annotations

import datetime as dt
import html
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&^=@/\"'%])")


def duration(seconds: float | None) -> str:
    """Three significant digits, `—` for None: `87 µs`, `4.21 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "—"
    if seconds <= 0:
        return "0 ms"
    if seconds < 0.0009995:
        return f"{_significant(seconds * 1e6)} µs"
    if seconds < 0.9995:
        return f"{_significant(seconds * 1e3)} ms"
    if seconds < 59.95:
        return f"{_significant(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    if minutes < 2 * 1440:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{seconds / 86400:.1f} days"


def rate(per_second: float) -> str:
    """Requests per second, or per minute when they are few: `80/s`, `2.4/min`."""
    if per_second <= 0:
        return "0/s"
    if per_second >= 0.95:
        return f"{_significant(per_second)}/s"
    return f"{_significant(per_second * 60)}/min"


def percent(share: float) -> str:
    """A share 0…1 with the digits that matter; never rounds a failure away or up to everything."""
    if share <= 0:
        return "0 %"
    if share >= 1:
        return "100 %"
    value = share * 100
    if value < 0.1:
        return "<0.1 %"
    if value > 99.9:
        return ">99.9 %"
    return f"{value:.1f} %" if value < 10 or value > 90 else f"{value:.0f} %"


def count(number: int) -> str:
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """`1 trace`, `1,234 traces`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def zone(name: str | None) -> dt.tzinfo:
    """The viewer's time zone by its IANA name; UTC when the browser told none or an unknown one."""
    try:
        return ZoneInfo(name) if name else dt.timezone.utc
    except (ZoneInfoNotFoundError, ValueError):
        return dt.timezone.utc


def moment(epoch: float, tz: dt.tzinfo) -> str:
    """Date and time with milliseconds in the viewer's zone: `2026-11-23 06:29:01.123`."""
    at = dt.datetime.fromtimestamp(epoch, tz)
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"


def plain(text: str) -> str:
    """Span text for a place where Streamlit reads Markdown (labels, captions): every mark of Markdown is escaped."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def markup(text: str) -> str:
    """Span text for a place where Streamlit reads HTML."""
    return html.escape(text, quote=True)


def _significant(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    if value >= 9.995:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.2f}".rstrip("0").rstrip(".")
