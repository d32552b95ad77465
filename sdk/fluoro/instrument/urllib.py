"""urllib: one span per `urlopen`, for `http:` and `https:` URLs, from the request until its headers are answered.

Redirects and authentication that the opener's handlers do belong to the same span. An HTTPError is an answer and judged
by its status. `urlretrieve` and openers of one's own are covered. A request is recorded under its own host, whatever proxy
it goes through. Reading the body is not in the span.

This file is loaded by every traced process that imports urllib.request, `_urllib_open` with its first call.
"""

from __future__ import annotations

from fluoro.instrument._first_use import wrap_at_first_use

TYPE_CHECKING = False  # see above
if TYPE_CHECKING:
    from types import ModuleType


def patch(module: ModuleType) -> None:
    wrap_at_first_use(module.OpenerDirector, "open", "fluoro.instrument._urllib_open", "open_url")
