# ruff: noqa: INP001  a folder for PYTHONPATH, not a package
"""Python imports this before the program, because `fluoro run` put this folder first on PYTHONPATH.

It switches tracing on, then steps aside for the `sitecustomize` that would have been imported without us. PYTHONPATH
stays, so child interpreters (workers, reloaders, spawned processes) do the same. Nothing here may stop the program.
"""

import sys

_here = __file__.rpartition("/")[0]
sys.path[:] = [entry for entry in sys.path if entry.rstrip("/") != _here]

try:
    from fluoro import activation
except ImportError as error:
    # Another virtual environment than the one `fluoro run` came from.
    sys.stderr.write(
        f"WARNING fluoro: not tracing this program: {error}. Install it where the program runs: "
        f"{sys.executable} -m pip install fluoro\n"
    )
else:
    activation.activate()

_ours = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  the next one on sys.path
except ModuleNotFoundError as error:
    if error.name != "sitecustomize":
        raise
finally:
    # The import system looks for the module it has just executed.
    sys.modules.setdefault("sitecustomize", _ours)
