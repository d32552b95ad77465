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
    from collections.abc import Callable
    from types import FrameType

    from fluoro.detection import Place
    from fluoro.sampling import Sampler
    from fluoro.sampling.central import CentralSampler
    from fluoro.sender import Sender
    from fluoro.settings import Settings

activated = False
sender: Sender | None = None
context_missing = ""  # what an annotation outside of any span does; nothing until tracing is on
_central: CentralSampler | None = None
_setting_up = False


def install(settings: Settings | None = None) -> None:
    """Trace this process: patch what is imported already and what will be. Without `settings`, the environment's.

    Call it before the application imports its libraries: names bound by `from x import y` earlier keep pointing at the
    unpatched function. Raises SettingsError for a setting that cannot work. A second call does nothing.
    """
    from fluoro.settings import Settings

    settings = settings or Settings.from_env()
    if not settings.enabled:
        return
    set_up(settings)
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

        set_up(Settings.from_env())
    except (FluoroError, ImportError) as error:
        diagnostics.warn("settings", f"not tracing: {error}", every_s=float("inf"))
        return False
    return True


def uninstall() -> None:
    """Take back the patches, send what is queued (at most 2 s), record nothing any more."""
    global _central, activated, context_missing, sender  # noqa: PLW0603
    instrument.uninstall()
    activated = False
    if sender is not None:
        from fluoro.recorder import recorder

        recorder.configure()
        sender.close()
        sender = None
        context_missing = ""
        if _central is not None:
            _central.close()
            _central = None


def set_up(settings: Settings) -> None:
    """The recorder and the sender, without any patch; once.

    What it imports (http.client, grpc) may be what a patch waits for, and the patch asks for a `start`: this one.
    """
    global _setting_up  # noqa: PLW0603
    if sender is not None or _setting_up:
        return
    _setting_up = True
    try:
        _assemble(settings)
    finally:
        _setting_up = False


def set_up_again(settings: Settings) -> None:
    """`set_up` for a program that changes its mind in code. What was recorded before goes where it was meant to."""
    global _central, sender  # noqa: PLW0603
    before, polling = sender, _central
    sender = _central = None
    try:
        set_up(settings)
    except BaseException:
        sender, _central = before, polling
        raise
    if polling is not None:
        polling.close()
    if before is not None and before.statistics()["queued"] == 0:  # otherwise it closes itself when the process ends
        before.close()


def _assemble(settings: Settings) -> None:
    global context_missing, sender  # noqa: PLW0603
    from fluoro.detection import Detection
    from fluoro.propagation import from_environment
    from fluoro.recorder import recorder
    from fluoro.sender import Sender
    from fluoro.transport import transport_to

    diagnostics.prepare()
    place = Detection(settings).place
    sampler = _sampler(settings, place)
    sender = Sender(settings, transport_to(settings.endpoint), place)
    recorder.configure(
        service_name=settings.service_name,
        sink=sender.put,
        sampler=sampler,
        flush=sender.flush,
        naming=_naming(settings.dynamic_naming),
        caller=from_environment(os.environ),
    )
    context_missing = settings.context_missing
    _flush_on_sigterm()


def _naming(pattern: str) -> Callable[[str], str] | None:
    if not pattern:
        return None
    from fluoro.naming import dynamic_naming

    return dynamic_naming(pattern)


def _sampler(settings: Settings, place: Callable[[], Place]) -> Sampler | None:
    """Rules of the service first; without them the file's, or the rate."""
    global _central  # noqa: PLW0603
    from fluoro.sampling.ratio import ratio

    if settings.sampling_rules:
        from fluoro.sampling import local

        fallback: Sampler | None = local.sampler(local.load(settings.sampling_rules))
    else:
        fallback = ratio(settings.sample_rate)
    if not settings.sampling_endpoint:
        return fallback
    from fluoro.context import current_node
    from fluoro.recorder import unrecorded
    from fluoro.sampling.central import CentralSampler
    from fluoro.sampling.client import SamplingClient
    from fluoro.sampling.rules import Process

    def process() -> Process:
        origin, attributes = place()
        arn = attributes.get("cloud.resource_id") or attributes.get("aws.ecs.container.arn")
        return Process(settings.service_name, origin, str(arn or ""), attributes)

    client = SamplingClient(settings.sampling_endpoint)
    _central = CentralSampler(client, fallback, process, quiet=lambda: current_node.set(unrecorded()))
    return _central


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
