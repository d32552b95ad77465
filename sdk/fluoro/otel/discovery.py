"""Which OpenTelemetry instrumentors are installed, and which modules' imports each of them waits for.

Runs at the start of every traced process, so it reads the few lines it needs from the installed distributions' metadata
by itself: `importlib.metadata` costs more to load than everything else of our start-up. Without the distribution
`opentelemetry-instrumentation` it is one look at each entry of `sys.path`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # see above
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GROUP = "[opentelemetry_instrumentor]"
_MAX_FILE = 1 << 22  # bytes of one metadata file that are read

# Instrumentors of Python's own modules name no distribution; the module is called as they are, but for these.
_STANDARD = {"urllib": "urllib.request"}


class Instrumentor:
    """One entry point: `name`, `value` ("module:Class"), the names of the distributions it is about (normalised), and the
    modules after whose import it runs; none if no such distribution is installed, or one that it needs besides is not.
    """

    __slots__ = ("instruments", "modules", "name", "value")

    def __init__(self, name: str, value: str, instruments: tuple[str, ...], modules: tuple[str, ...]) -> None:
        self.name = name
        self.value = value
        self.instruments = instruments
        self.modules = modules


def installed(path: Sequence[str]) -> list[Instrumentor]:
    """The instrumentors of the distributions on `path`. Files that cannot be read count as absent."""
    if not any(os.path.isdir(f"{entry}/opentelemetry/instrumentation") for entry in path):  # noqa: PTH112
        return []
    distributions = _distributions(path)
    return [
        _instrumentor(name, value, metadata, distributions)
        for metadata in distributions.values()
        for name, value in _entry_points(metadata)
    ]


def _instrumentor(name: str, value: str, metadata: str, distributions: dict[str, str]) -> Instrumentor:
    required, alternatives = _instruments(metadata)
    # One distribution can bring several instrumentors (httpx and httpx2), each called after what it instruments.
    instruments = [each for each in (*required, *alternatives) if letters(each) == letters(name)]
    instruments = instruments or [*required[:1], *alternatives]
    modules = []
    if not instruments and name in sys.stdlib_module_names:
        modules.append(_STANDARD.get(name, name))
    if all(each in distributions for each in required):
        modules += [
            module for each in instruments if each in distributions for module in _modules(each, distributions[each])
        ]
    return Instrumentor(name, value, tuple(instruments), tuple(dict.fromkeys(modules)))


def letters(name: str) -> str:
    """`name` without what people write differently: `tortoise-orm` and `tortoiseorm`."""
    return name.lower().replace("-", "").replace("_", "").replace(".", "")


def normalised(distribution: str) -> str:
    """The name as indexes compare it: `Aio.Pika` and `aio_pika` are `aio-pika`."""
    return "-".join(distribution.lower().replace("_", "-").replace(".", "-").split("-"))


def _distributions(path: Sequence[str]) -> dict[str, str]:
    """Normalised name → its metadata folder; the first on `path` is the one that Python imports."""
    found: dict[str, str] = {}
    for entry in path:
        try:
            names = os.listdir(entry)  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if dot and kind in ("dist-info", "egg-info"):
                found.setdefault(normalised(stem.partition("-")[0]), f"{entry}/{name}")
    return found


def _entry_points(metadata: str) -> Iterator[tuple[str, str]]:
    text = _read(f"{metadata}/entry_points.txt")
    if _GROUP not in text:
        return
    for line in text.partition(_GROUP)[2].splitlines():
        if line.startswith("["):
            return
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            yield name.strip(), value.partition("[")[0].strip()


def _instruments(metadata: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The distributions of the extra `instruments`, all of which are needed, and of `instruments-any`."""
    required: list[str] = []
    alternatives: list[str] = []
    for line in _read(f"{metadata}/METADATA").partition("\n\n")[0].splitlines():
        requirement, _, marker = line.partition(";")
        if not requirement.startswith("Requires-Dist:") or "instruments" not in marker:
            continue
        name = requirement.removeprefix("Requires-Dist:").strip()
        end = next(
            (i for i, character in enumerate(name) if not (character.isalnum() or character in "-_.")), len(name)
        )
        (alternatives if "instruments-any" in marker else required).append(normalised(name[:end]))
    return tuple(required), tuple(alternatives)


def _modules(distribution: str, metadata: str) -> list[str]:
    """The importable packages of a distribution: `google.genai` of google-genai, `kafka` of kafka-python."""
    likely = distribution.replace("-", "_")
    site = os.path.dirname(metadata)  # noqa: PTH120
    if os.path.isfile(f"{site}/{likely}/__init__.py"):  # noqa: PTH113
        return [likely]
    for name in _read(f"{metadata}/top_level.txt").split():
        if name.isidentifier() and os.path.isfile(f"{site}/{name}/__init__.py"):  # noqa: PTH113
            return [name]
    packages, modules = set(), set()
    for line in _read(f"{metadata}/RECORD").splitlines():
        file = line.partition(",")[0]
        if file.endswith("/__init__.py"):
            packages.add(file.removesuffix("/__init__.py"))
        elif file.endswith(".py") and "/" not in file:
            modules.add(file.removesuffix(".py"))
    outermost = [each for each in packages if each.rpartition("/")[0] not in packages]
    found = sorted(each.replace("/", ".") for each in (*outermost, *modules))
    # A test suite that was packed beside the library is not the library.
    found = [each for each in found if each not in ("test", "tests") and all(map(str.isidentifier, each.split(".")))]
    return found or [likely]


def _read(file: str) -> str:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _MAX_FILE).decode("utf-8", "replace")
    except OSError:  # a folder
        return ""
    finally:
        os.close(descriptor)
