"""What can be wrong with a filter expression."""

from __future__ import annotations

from fluoro.errors import FluoroError


class FilterError(FluoroError):
    """`position` is the offset (characters, from 0) in the expression; `expected` what could stand there."""

    def __init__(self, message: str, position: int, expected: tuple[str, ...] = ()) -> None:
        text = message
        if expected:
            text += f": expected {_either(expected)}"
        super().__init__(f"{text} (at position {position})")
        self.position = position
        self.expected = expected


class NotSupportedError(FilterError):
    """Part of the language, but this version cannot answer it."""

    def __init__(self, what: str, position: int = 0) -> None:
        super().__init__(f"{what} is not supported yet", position)


def _either(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
