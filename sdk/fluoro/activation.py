"""Switch tracing on in this process: patches now, everything else when the first library is patched or used.

`activate` is what `fluoro run` does in every process it covers. It only registers an import hook, since most processes of
a program (a shell's helper, a build step) import no traced library. `install` does the same from code, and sets up the
recorder and the sender at once.
"""

from __future__ import annotations

import os

from fluoro import diagnostics, instrument
from fluoro.errors import FluoroError
from fluoro.switch import is_enabled, names

TYPE_CHECKING = False  # this module is part of the start-up of every traced process
if TYPE_CHECKING:
    from types import FrameType

    from fluoro.sender import Sender
    from fluoro.settings import Settings

activated = False
sender: Sender | None = None


def install(settings: Settings | None = None) -> None:
    """Trace this process: patch what is imported already and what will be. Without `settings`, the environment's.

    Call it before the application imports its libraries: names bound by `from x import y` earlier keep pointing at the
    unpatched function. Raises SettingsError for a setting that cannot work. A second call does nothing.
    """
    from fluoro.settings import Settings

    settings = settings or Settings.from_env()
    if not settings.enabled:
        return
    _start(settings)
    instrument.install(settings.disabled, start)


def activate() -> None:
    """`install` for a process that has just begun: never raises, loads nothing until something can be traced."""
    global activated  # noqa: PLW0603
    try:
        if is_enabled():
            instrument.install(names(os.environ.get("FLUORO_DISABLE", "")), start)
            activated = True
    except FluoroError as error:
        diagnostics.warn("settings", f"not tracing: {error}")


def start() -> bool:
    """Set up the recorder and the sender from the environment, once. False if that is not possible (said once)."""
    if sender is not None:
        return True
    try:
        from fluoro.settings import Settings

        _start(Settings.from_env())
    except (FluoroError, ImportError) as error:
        diagnostics.warn("settings", f"not tracing: {error}", every_s=float("inf"))
        return False
    return True


def uninstall() -> None:
    """Take back the patches, send what is queued (at most 2 s), record nothing any more."""
    global activated, sender  # noqa: PLW0603
    instrument.uninstall()
    activated = False
    if sender is not None:
        from fluoro.recorder import recorder

        recorder.configure()
        sender.close()
        sender = None


def _start(settings: Settings) -> None:
    global sender  # noqa: PLW0603
    if sender is not None:
        return
    from fluoro import sampling
    from fluoro.recorder import recorder
    from fluoro.sender import Sender
    from fluoro.transport import HttpTransport

    diagnostics.prepare()
    sender = Sender(settings, HttpTransport(settings.endpoint))
    recorder.configure(
        service_name=settings.service_name,
        sink=sender.put,
        sampler=sampling.ratio(settings.sample_rate),
        flush=sender.flush,
    )
    _flush_on_sigterm()


def _flush_on_sigterm() -> None:
    """SIGTERM's default action ends a process without `atexit`. A program that handles it itself is left alone."""
    import signal

    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _on_sigterm)
    except ValueError:  # not the main thread
        return


def _on_sigterm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Send what is queued, then die of the same signal, as without us."""
    import signal

    if sender is not None:
        sender.close()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
