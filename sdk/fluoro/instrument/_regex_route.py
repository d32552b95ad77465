"""Make a route that is written as a regular expression readable: `^orders/(?P<id>[0-9]+)/$` → `orders/{id}/`.

Groups become their names, what matches anything else than itself `{var}`, anchors, look-arounds and quantifiers go. It is
a name for people, so what it cannot read is left standing; it never fails.
"""

from __future__ import annotations

import re
from functools import lru_cache

ANYTHING = "{var}"

_TOKEN = re.compile(
    r"""
      (?P<escape> \\.)
    | (?P<open> \( (?: \?P<(?P<name>\w+)> | \?P= \w+ | (?P<plain> \?: ) | (?P<empty> \?[=!#] | \?<[=!] | \?[aiLmsux-]+:? ) )? )
    | (?P<close> \) )
    | (?P<class> \[ \^? \]? (?: \\. | [^\]\\] )* \] )
    | (?P<any> \. [*+?] )
    | (?P<anchor> [\^$] )
    | (?P<quantifier> [*+?]+ | \{ [0-9,]+ \} \?? )
    | (?P<text> [^\\()\[.^$*+?{]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_WIDTH = frozenset("AZzbB")
_REPEATED = re.compile(r"(?:\{var\}){2,}")


@lru_cache(maxsize=4096)
def template(pattern: str) -> str:
    """`pattern` with its groups as `{name}`."""
    # One list of pieces for each open group; what its close makes of them is in `groups`.
    stack: list[list[str]] = [[]]
    groups: list[str | None] = []
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token[0]
        if token["open"] is not None:
            groups.append(_becomes(token))
            stack.append([])
        elif kind == "close" and groups:
            inner, becomes = "".join(stack.pop()), groups.pop()
            stack[-1].append(_plain(inner) if becomes is None else becomes)
        elif kind == "escape":
            stack[-1].append("" if text[1] in _NO_WIDTH else ANYTHING if text[1].isalnum() else text[1])
        elif kind in ("class", "any"):
            stack[-1].append(ANYTHING)
        elif kind == "text":
            stack[-1].append(text)
    return _REPEATED.sub(ANYTHING, "".join(piece for pieces in stack for piece in pieces))


def _becomes(opened: re.Match[str]) -> str | None:
    """What a group becomes; None: what is in it."""
    if opened["name"] is not None:
        return f"{{{opened['name']}}}"
    if opened["empty"] is not None:
        return ""
    return None if opened["plain"] is not None else ANYTHING


def _plain(inner: str) -> str:
    return ANYTHING if "|" in inner else inner
