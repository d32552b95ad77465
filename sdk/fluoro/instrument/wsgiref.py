"""wsgiref of Python ≥ 3.10: what its handlers run is a WSGI application like any other; see `wsgi`.

Light, since it is imported by programs that never serve with it (a metrics library, for one).
"""

from __future__ import annotations

from fluoro.instrument._first_use import wrap_at_first_use

TYPE_CHECKING = False  # see above
if TYPE_CHECKING:
    from types import ModuleType


def patch(module: ModuleType) -> None:
    wrap_at_first_use(module.BaseHandler, "run", "fluoro.instrument.wsgi", "run")
