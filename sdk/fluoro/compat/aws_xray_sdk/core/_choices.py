"""What a program has configured in code, brought to fluoro's recorder and sender. The environment wins.

Choices are written as the environment variables that mean the same, so `Settings.from_env` reads and checks both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fluoro import activation, diagnostics
from fluoro.errors import FluoroError
from fluoro.model import Kind, Segment
from fluoro.recorder import recorder
from fluoro.sampling import LEAVE, RECORD, Decision
from fluoro.sampling.rules import place
from fluoro.settings import Settings


class Choices:
    """One per process, `choices`. Attributes are set by the recorder, then `changed` is called."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.held = False  # more is coming; `changed` waits
        self.enabled = True
        self.naming: Any = None  # an object with `get_name(host)`
        self.sampler: Any = None  # an object with `should_trace(request)` in the place of fluoro's
        self.sampling = True
        self.stream_sql = True
        self.emit: Callable[[Segment], None] | None = None  # in the place of fluoro's sender
        self.ignored: list[tuple[str, tuple[str, ...]]] = []  # calls that are not recorded: pattern of the host, paths
        self._sink: Callable[[Segment], None] | None = None
        self._below: Callable[[Segment], None] | None = None
        self._own_sampler: Any = None
        self._sampler_replaced = False

    def settings(self) -> Settings:
        """Raises SettingsError for what cannot work."""
        said = {key: value for key, value in self.variables.items() if value}
        if os.environ.get("FLUORO_SAMPLE_RATE"):
            said.pop("FLUORO_SAMPLING_RULES", None)
        if not self.sampling or self.sampler is not None:
            said["FLUORO_SAMPLING_ENDPOINT"] = "none"
        return Settings.from_env({**said, **{key: value for key, value in os.environ.items() if value.strip()}})

    def start(self) -> bool:
        """Set up recorder and sender, once; whether spans are recorded now. Never raises."""
        if recorder.sink is None and activation.sender is None and self.enabled:
            try:
                settings = self.settings()
                if settings.enabled:
                    activation.set_up(settings)
                    self._sampler_replaced = False
            except (FluoroError, ImportError) as error:
                diagnostics.warn("settings", f"not tracing: {error}", every_s=float("inf"))
            self._adjust()
        return recorder.sink is not None

    def changed(self) -> None:
        """Something was configured, perhaps when tracing is on already."""
        if self.held:
            return
        sender = activation.sender
        if sender is not None:
            usual, wanted = msgspec.structs.asdict(Settings.from_env()), msgspec.structs.asdict(self.settings())
            different = {key: value for key, value in wanted.items() if value != usual[key]}
            in_force: Settings = sender._settings  # noqa: SLF001
            settings = msgspec.structs.replace(in_force, **different)
            if settings != in_force:
                activation.set_up_again(settings)
                self._sampler_replaced = False
        self._adjust()

    def switch(self, enabled: bool) -> None:
        """Record from now on, or nothing."""
        self.enabled = enabled
        self._adjust()

    def _adjust(self) -> None:
        """What settings cannot say."""
        if activation.sender is None and recorder.sink is None:
            return
        naming = self.naming
        if naming is not None:
            recorder.naming = lambda host: str(naming.get_name(host) or "")
        if not self._sampler_replaced:
            self._own_sampler = recorder.sampler
        self._sampler_replaced = not self.sampling or self.sampler is not None
        if not self.sampling:
            recorder.sampler = None
        else:
            recorder.sampler = self._own_sampler if self.sampler is None else self._ask
        if activation.sender is not None:
            self._below = activation.sender.put
        elif recorder.sink is not self._sink:
            self._below = recorder.sink
        if self.emit is not None or self.ignored or not self.stream_sql or not self.enabled:
            recorder.sink = self._sink = self._take
        else:
            recorder.sink = self._below

    def _ask(self, trace_id: bytes, service: str, operation: str, method: str, url: str) -> Decision:  # noqa: ARG002
        """The program's own sampler, asked for a request that fluoro serves."""
        host, path = place(url)
        answer = self.sampler.should_trace({"service": service, "host": host, "method": method, "path": path})
        return Decision(True, answer) if isinstance(answer, str) else RECORD if answer else LEAVE

    def _take(self, segment: Segment) -> None:
        if not self.enabled or (self.ignored and segment.kind is Kind.CLIENT and self._is_ignored(segment)):
            return
        if not self.stream_sql and segment.sql is not None:
            segment.sql.query = ""
        target = self.emit or self._below
        if target is not None:
            target(segment)

    def _is_ignored(self, segment: Segment) -> bool:
        parts = urlsplit(segment.http.url if segment.http else "")
        host = parts.hostname or ""
        return bool(host) and any(
            fnmatchcase(host, pattern) and (not paths or parts.path in paths) for pattern, paths in self.ignored
        )


def own_decision(service: str, host: str = "", method: str = "", path: str = "") -> bool | str:
    """Fluoro's sampler for a trace that nobody has decided on: the rule's name, True or False."""
    from fluoro.recorder import new_trace_id

    sampler = recorder.sampler
    if sampler is None:
        return True
    decision = sampler(new_trace_id(), service, "", method, f"http://{host}{path}" if host or path else "")
    return (decision.rule or True) if decision.sampled else False


def emitting(emitter: Any) -> Callable[[Segment], None]:
    """A sink that gives each finished span to `emitter.send_entity`, as an entity of its own."""
    from fluoro.compat.aws_xray_sdk.core.models._view import detached

    return lambda segment: emitter.send_entity(detached(segment))


choices = Choices()
