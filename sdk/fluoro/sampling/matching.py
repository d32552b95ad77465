"""X-Ray's patterns: `*` is any text, also none, `?` is one character; case does not count.

A pattern is cut at its stars; the pieces are looked for from left to right, each at its first place. So a match costs at
most len(text) × len(pattern) steps, whatever a stranger puts into a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# Of a text that `folded` has prepared.
Matcher = Callable[[str], bool]

MAX_TEXT = 2_000  # characters of a path, host or attribute that are looked at


def folded(text: str) -> str:
    """`text` as matchers want it: once for all patterns that it is held against."""
    return text[:MAX_TEXT].lower()


def matcher(pattern: str) -> Matcher | None:
    """Whether a text, folded, matches `pattern`. None for a pattern that everything matches."""
    pattern = pattern.lower()
    pieces = pattern.split("*")
    if len(pieces) == 1 and "?" not in pattern:
        return lambda text: text == pattern
    if len(pieces) == 1:
        fits = _piece(pattern).fullmatch
        return lambda text: fits(text) is not None
    if not any(pieces):
        return None
    if len(pieces) == 2 and not pieces[1] and "?" not in pattern:
        head = pieces[0]
        return lambda text: text.startswith(head)
    if len(pieces) == 2 and not pieces[0] and "?" not in pattern:
        tail = pieces[1]
        return lambda text: text.endswith(tail)
    return _in_order(pieces)


def _in_order(pieces: list[str]) -> Matcher:
    first, *between, last = pieces
    starts, ends = _piece(first).match, _piece(last).match
    searches = [_piece(piece).search for piece in between if piece]
    head, tail = len(first), len(last)

    def matches(text: str) -> bool:
        end = len(text) - tail
        if end < head or not starts(text) or not ends(text, end):
            return False
        at = head
        for search in searches:
            found = search(text, at, end)
            if found is None:
                return False
            at = found.end()
        return True

    return matches


def _piece(text: str) -> re.Pattern[str]:
    """Of fixed length: no part of it can match in two ways."""
    return re.compile(".".join(re.escape(part) for part in text.split("?")), re.DOTALL)
