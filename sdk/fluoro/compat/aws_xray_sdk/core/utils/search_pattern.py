from __future__ import annotations

from fluoro.sampling.matching import MAX_TEXT, folded, matcher


def wildcard_match(pattern: str | None, text: str | None, case_insensitive: bool = True) -> bool:
    """Whether `text` fits `pattern`, in which `*` is any text and `?` one character. None fits nothing."""
    if pattern is None or text is None:
        return False
    if not case_insensitive:
        import re

        expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
        return re.fullmatch(expression, text[:MAX_TEXT], re.DOTALL) is not None
    fits = matcher(pattern)
    return fits is None or fits(folded(text))
