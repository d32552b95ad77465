"""What can be wrong with a filter expression."""

from __future__ import annotations

from fluoro.errors import FluoroError

_SHOWN = 8  # words of a long list in a message


class FilterError(FluoroError):
    """`position` is the offset (characters, from 0) in the expression; `expected` all that could stand there.

    `nearest` is the keyword that was probably meant, "" when none is near.
    """

    def __init__(self, message: str, position: int, expected: tuple[str, ...] = (), nearest: str = "") -> None:
        text = message
        if nearest:
            text += f"; did you mean {nearest}?"
        elif expected:
            text += f": expected {_either(expected)}"
        super().__init__(f"{text} (at position {position})")
        self.position = position
        self.expected = expected
        self.nearest = nearest


def _either(words: tuple[str, ...]) -> str:
    if len(words) > _SHOWN:
        return f"{', '.join(words[:_SHOWN])} or another keyword"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
