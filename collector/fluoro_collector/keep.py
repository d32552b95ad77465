"""How long data is kept, as people write it: `30d`, `8w`, `forever`."""

from __future__ import annotations

import re

FOREVER = 0
MAX_DAYS = 36_500
EXPECTED = "write days or weeks, as in 30d or 8w, or forever"

_UNITS = {"d": 1, "w": 7}
_TEXT = re.compile(r"(\d{1,6})\s*([dw])?")


def days(text: str) -> int:
    """Days, 0 for `forever` and `0`. Raises ValueError on anything else, with what to write."""
    lowered = text.strip().lower()
    if lowered in {"forever", "0"}:
        return FOREVER
    found = _TEXT.fullmatch(lowered)
    if not found or not found[2]:
        raise ValueError(EXPECTED)
    number = int(found[1]) * _UNITS[found[2]]
    if number == 0:
        raise ValueError(EXPECTED)  # "0d" may be meant as "keep nothing" or as "no limit"
    if number > MAX_DAYS:
        raise ValueError(f"{EXPECTED}; at most {MAX_DAYS}d")
    return number
