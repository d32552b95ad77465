"""Where the browser gets the files of `frontend/` from.

Streamlit looks component files up by the *distribution's* name, which is `fluoro` while this package is
`fluoro_dashboard`, and finds nothing in a source tree. So the server has its own route, `/fluoro-assets/<hash>/…`, and
a component's inline script is one dynamic import of it. The hash covers every asset: browsers may keep a file for ever
and an upgrade is never stale.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

DIRECTORY = Path(__file__).parent / "frontend"
ROUTE = "/fluoro-assets"


@functools.cache
def digest() -> str:
    """16 hex digits over the names and bytes of all assets."""
    total = hashlib.sha256()
    for path in sorted(DIRECTORY.rglob("*")):
        if path.is_file():
            total.update(path.relative_to(DIRECTORY).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def loader(module: str) -> str:
    """Inline JavaScript of a component: hand over to `frontend/<module>.js`.

    Streamlit imports inline scripts from a blob URL. Neither a relative nor a rooted specifier resolves against one, an
    absolute URL does, and only the browser knows the host it used.
    """
    return f'const module = await import(location.origin + "{ROUTE}/{digest()}/{module}.js");\nexport default module.default;\n'


def style(*names: str) -> str:
    """The named style sheets as one inline text; a shadow root has no other way to have them before its first paint."""
    return "\n".join((DIRECTORY / f"{name}.css").read_text(encoding="utf-8") for name in names)
