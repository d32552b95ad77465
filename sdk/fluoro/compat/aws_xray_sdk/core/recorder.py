"""`xray_recorder`: begin and end segments and subsegments, and configure what becomes of them."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fluoro.compat.aws_xray_sdk import global_sdk_config
from fluoro.compat.aws_xray_sdk.core._choices import choices, emitting
from fluoro.compat.aws_xray_sdk.core.context import Context
from fluoro.compat.aws_xray_sdk.core.daemon_config import DaemonConfig
from fluoro.compat.aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import SegmentNameMissingException
from fluoro.compat.aws_xray_sdk.core.lambda_launcher import check_in_lambda
from fluoro.compat.aws_xray_sdk.core.models import entity as entities
from fluoro.compat.aws_xray_sdk.core.models.default_dynamic_naming import DefaultDynamicNaming
from fluoro.compat.aws_xray_sdk.core.models.dummy_entities import DummySegment, DummySubsegment
from fluoro.compat.aws_xray_sdk.core.models.segment import Segment, SegmentContextManager
from fluoro.compat.aws_xray_sdk.core.models.subsegment import Subsegment, SubsegmentContextManager
from fluoro.compat.aws_xray_sdk.core.plugins.utils import detectors
from fluoro.compat.aws_xray_sdk.core.sampling.sampler import DefaultSampler
from fluoro.compat.aws_xray_sdk.core.streaming.default_streaming import DefaultStreaming
from fluoro.compat.aws_xray_sdk.core.utils import stacktrace

log = logging.getLogger(__name__)

TRACING_NAME_KEY = "AWS_XRAY_TRACING_NAME"
DAEMON_ADDR_KEY = "AWS_XRAY_DAEMON_ADDRESS"
CONTEXT_MISSING_KEY = "AWS_XRAY_CONTEXT_MISSING"


class AWSXRayRecorder:
    """Making one starts nothing; the first segment, or the first patched library, sets up the sending."""

    def __init__(self) -> None:
        self._streaming: Any = DefaultStreaming()
        self._context: Any = check_in_lambda() or Context()
        self._sampler: Any = DefaultSampler()
        self._emitter: Any = UDPEmitter()
        self._max_trace_back = 10
        self._service: str | None = os.environ.get("FLUORO_SERVICE_NAME") or os.environ.get(TRACING_NAME_KEY)
        self._dynamic_naming: Any = None

    def configure(
        self,
        sampling: bool | None = None,
        plugins: tuple[str, ...] | None = None,
        context_missing: str | None = None,
        sampling_rules: dict[str, Any] | str | None = None,
        daemon_address: str | None = None,
        service: str | None = None,
        context: Any = None,
        emitter: Any = None,
        streaming: Any = None,
        dynamic_naming: Any = None,
        streaming_threshold: int | None = None,
        max_trace_back: int | None = None,
        sampler: Any = None,
        stream_sql: bool | None = True,
    ) -> None:
        """What is not given stays. FLUORO_* and AWS_XRAY_* in the environment win over what is said here.

        `sampling` False records everything; `sampling_rules` are local rules or their file, `sampler` an object with
        `should_trace(request)`. `plugins` are the places to look for ourselves in, () none. Without `daemon_address`
        segments go to fluoro's collector. An `emitter` of your own is given each entity when it ends, in the place of
        fluoro's sender. `max_trace_back` is how many frames of an exception are kept. `streaming` and its threshold have
        no effect. `stream_sql` False leaves out the text of queries.
        """
        choices.held = True
        try:
            if sampling is not None:
                self.sampling = sampling
            if sampler:
                self.sampler = sampler
            if service:
                self.service = os.environ.get("FLUORO_SERVICE_NAME") or os.environ.get(TRACING_NAME_KEY, service)
            if sampling_rules:
                rules = (
                    sampling_rules
                    if isinstance(sampling_rules, dict)
                    else json.loads(Path(sampling_rules).read_bytes())
                )
                self.sampler.load_local_rules(rules)
            if emitter:
                self.emitter = emitter
            if daemon_address:
                DaemonConfig(daemon_address)  # raises for one that is none
                self.emitter.set_daemon_address(os.environ.get(DAEMON_ADDR_KEY, daemon_address))
                choices.variables[DAEMON_ADDR_KEY] = daemon_address
            if context:
                self.context = context
            if context_missing:
                self.context.context_missing = os.environ.get(CONTEXT_MISSING_KEY, context_missing)
                choices.variables[CONTEXT_MISSING_KEY] = context_missing
            if dynamic_naming:
                self.dynamic_naming = dynamic_naming
            if streaming:
                self.streaming = streaming
            if streaming_threshold is not None:
                self.streaming_threshold = streaming_threshold
            if type(max_trace_back) is int and max_trace_back >= 0:
                self.max_trace_back = max_trace_back
            if stream_sql is not None:
                self.stream_sql = stream_sql
            if plugins is not None:
                choices.variables["FLUORO_DETECTORS"] = detectors(plugins) if plugins else "none"
        finally:
            choices.held = False
            choices.changed()

    # --- segments ---

    def in_segment(self, name: str | None = None, **segment_kwargs: Any) -> SegmentContextManager:
        """`with`: begin_segment(name, …) and end_segment. An exception is recorded."""
        return SegmentContextManager(self, name=name, **segment_kwargs)

    def begin_segment(
        self,
        name: str | None = None,
        traceid: str | None = None,
        parent_id: str | None = None,
        sampling: int | str | None = None,
    ) -> Segment:
        """A new current segment, in place of one that is open. `sampling` 0 is a caller's no; any other value its yes, a
        string the rule's name. Raises SegmentNameMissingException without a name and a service.
        """
        if not global_sdk_config.sdk_enabled():
            return DummySegment(global_sdk_config.DISABLED_ENTITY_NAME)
        name = name or self.service
        if not name:
            raise SegmentNameMissingException("Segment name is required.")
        choices.start()
        decision: Any = True
        if sampling == 0:
            decision = False
        elif sampling:
            decision = sampling
        elif self.sampling:
            decision = self.sampler.should_trace({"service": name})
        if decision:
            segment = Segment(name, traceid=traceid, parent_id=parent_id)
            if isinstance(decision, str):
                segment.set_rule_name(decision)
        else:
            segment = DummySegment.under(name, traceid, parent_id)
        self.context.put_segment(segment)
        return segment

    def end_segment(self, end_time: float | None = None) -> None:
        """End the current segment, at `end_time` (epoch seconds) or now."""
        if global_sdk_config.sdk_enabled():
            self.context.end_segment(end_time)

    def current_segment(self) -> Segment | None:
        entity = self.get_trace_entity()
        return entity.parent_segment if isinstance(entity, Subsegment) else entity

    # --- subsegments ---

    def in_subsegment(self, name: str | None = None, **subsegment_kwargs: Any) -> SubsegmentContextManager:
        """`with`, or a decorator: begin_subsegment(name, …) and end_subsegment. An exception is recorded."""
        return SubsegmentContextManager(self, name=name, **subsegment_kwargs)

    def begin_subsegment(self, name: str, namespace: str = "local") -> Subsegment | None:
        """A child of the current entity; `namespace` "remote" or "aws" for a call. None without a segment."""
        return self._begin_subsegment(name, namespace, sampled=True)

    def begin_subsegment_without_sampling(self, name: str) -> Subsegment | None:
        """A subsegment that is not sent, nor what is below it."""
        return self._begin_subsegment(name, "local", sampled=False)

    def _begin_subsegment(self, name: str, namespace: str, *, sampled: bool) -> Subsegment | None:
        if not global_sdk_config.sdk_enabled():
            return DummySubsegment(DummySegment(global_sdk_config.DISABLED_ENTITY_NAME))
        current = self.get_trace_entity()
        if not current:
            log.warning("No segment found, cannot begin subsegment %s.", name)
            return None
        segment = current.parent_segment if isinstance(current, Subsegment) else current
        if sampled and current.sampled:
            subsegment = Subsegment(name, namespace, segment)
        else:
            subsegment = DummySubsegment(segment, name)
        self.context.put_subsegment(subsegment)
        return subsegment

    def current_subsegment(self) -> Subsegment | None:
        if not global_sdk_config.sdk_enabled():
            return DummySubsegment(DummySegment(global_sdk_config.DISABLED_ENTITY_NAME))
        entity = self.get_trace_entity()
        return entity if isinstance(entity, Subsegment) else None

    def end_subsegment(self, end_time: float | None = None) -> None:
        """End the current subsegment, at `end_time` (epoch seconds) or now."""
        if global_sdk_config.sdk_enabled():
            self.context.end_subsegment(end_time)

    def capture(self, name: str | None = None) -> SubsegmentContextManager:
        """A decorator: each call in a subsegment, called `name` or as the function."""
        return self.in_subsegment(name=name)

    def record_subsegment(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: Any,
        kwargs: Any,
        name: str,
        namespace: str,
        meta_processor: Callable[..., None] | None,
    ) -> Any:
        """`wrapped(*args, **kwargs)` in a subsegment, which `meta_processor` fills before it ends."""
        subsegment = self.begin_subsegment(name, namespace)
        result, raised = None, None
        try:
            result = wrapped(*args, **kwargs)
        except Exception as error:
            raised = error
            raise
        finally:
            if subsegment is not None:
                self._finish(subsegment, wrapped, instance, args, kwargs, result, raised, meta_processor)
        return result

    def _finish(
        self,
        subsegment: Subsegment,
        wrapped: Any,
        instance: Any,
        args: Any,
        kwargs: Any,
        result: Any,
        raised: Exception | None,
        meta_processor: Callable[..., None] | None,
    ) -> None:
        end_time = time.time()
        stack = stacktrace.get_stacktrace(limit=self.max_trace_back) if raised is not None else None
        if callable(meta_processor):
            meta_processor(
                wrapped=wrapped, instance=instance, args=args, kwargs=kwargs, return_value=result, exception=raised,
                subsegment=subsegment, stack=stack,
            )  # fmt: skip
        elif raised is not None:
            subsegment.add_exception(raised, stack)
        self.end_subsegment(end_time)

    def stream_subsegments(self) -> None:
        """Nothing: what has ended is sent."""

    # --- the current entity ---

    def put_annotation(self, key: str, value: Any) -> None:
        """On the current entity, if it is sampled."""
        if global_sdk_config.sdk_enabled():
            entity = self.get_trace_entity()
            if entity and entity.sampled:
                entity.put_annotation(key, value)

    def put_metadata(self, key: str, value: Any, namespace: str = "default") -> None:
        """On the current entity, if it is sampled."""
        if global_sdk_config.sdk_enabled():
            entity = self.get_trace_entity()
            if entity and entity.sampled:
                entity.put_metadata(key, value, namespace)

    def is_sampled(self) -> bool:
        """Whether the current entity is; False without one."""
        if not global_sdk_config.sdk_enabled():
            return False
        entity = self.get_trace_entity()
        return entity.sampled if entity else False

    def get_trace_entity(self) -> Segment | Subsegment | None:
        found: Segment | Subsegment | None = self.context.get_trace_entity()
        return found

    def set_trace_entity(self, trace_entity: Segment | Subsegment | None) -> None:
        self.context.set_trace_entity(trace_entity)

    def clear_trace_entities(self) -> None:
        self.context.clear_trace_entities()

    # --- settings ---

    @property
    def enabled(self) -> bool:
        return global_sdk_config.sdk_enabled()

    @enabled.setter
    def enabled(self, value: bool) -> None:
        """Has no effect, as in the original; `global_sdk_config.set_sdk_enabled` has."""

    @property
    def sampling(self) -> bool:
        return choices.sampling

    @sampling.setter
    def sampling(self, value: bool) -> None:
        choices.sampling = value
        choices.changed()

    @property
    def sampler(self) -> Any:
        return self._sampler

    @sampler.setter
    def sampler(self, value: Any) -> None:
        self._sampler = value
        choices.sampler = None if isinstance(value, DefaultSampler) else value
        choices.changed()

    @property
    def service(self) -> str | None:
        return self._service

    @service.setter
    def service(self, value: str | None) -> None:
        self._service = value
        choices.variables[TRACING_NAME_KEY] = value or ""
        choices.changed()

    @property
    def dynamic_naming(self) -> Any:
        return self._dynamic_naming

    @dynamic_naming.setter
    def dynamic_naming(self, value: Any) -> None:
        """A pattern of hosts, or an object with `get_name(host)`."""
        pattern = value if isinstance(value, str) else ""
        self._dynamic_naming = DefaultDynamicNaming(value, self.service) if pattern else value
        choices.naming = None if pattern else value
        choices.variables["FLUORO_DYNAMIC_NAMING"] = pattern
        choices.changed()

    @property
    def context(self) -> Any:
        return self._context

    @context.setter
    def context(self, cxt: Any) -> None:
        self._context = cxt

    @property
    def emitter(self) -> Any:
        return self._emitter

    @emitter.setter
    def emitter(self, value: Any) -> None:
        self._emitter = value
        choices.emit = None if type(value) is UDPEmitter else emitting(value)
        choices.changed()

    @property
    def streaming(self) -> Any:
        return self._streaming

    @streaming.setter
    def streaming(self, value: Any) -> None:
        self._streaming = value

    @property
    def streaming_threshold(self) -> int:
        threshold: int = self.streaming.streaming_threshold
        return threshold

    @streaming_threshold.setter
    def streaming_threshold(self, value: int) -> None:
        self.streaming.streaming_threshold = value

    @property
    def max_trace_back(self) -> int:
        return self._max_trace_back

    @max_trace_back.setter
    def max_trace_back(self, value: int) -> None:
        self._max_trace_back = entities.max_trace_back = value

    @property
    def stream_sql(self) -> bool:
        return choices.stream_sql

    @stream_sql.setter
    def stream_sql(self, value: bool) -> None:
        choices.stream_sql = value
        choices.changed()
