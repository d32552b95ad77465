from __future__ import annotations

import traceback
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wrapt import FunctionWrapper

from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import SegmentNotFoundException
from fluoro.compat.aws_xray_sdk.core.models.entity import Entity, clean
from fluoro.compat.aws_xray_sdk.core.models.segment import Segment
from fluoro.instrument import _sql_text
from fluoro.model import Kind, Sql
from fluoro.recorder import Span, recorder

_CALLS = ("remote", "aws")
_SQL = ("database_type", "url", "user", "database_version", "driver_version", "connection_string", "preparation")

if TYPE_CHECKING:

    class _Captured:
        """A function that `capture` has been put on (wrapt publishes no types)."""

        def __init__(self, wrapped: Any, wrapper: Any) -> None: ...

else:

    class _Captured(FunctionWrapper):
        pass


def is_already_recording(func: Any) -> bool:
    return isinstance(func, _Captured)


class SubsegmentContextManager:
    """`with xray_recorder.in_subsegment(…) as subsegment`, and what `capture` decorates with. Coroutine functions stay
    coroutine functions.
    """

    def __init__(self, recorder: Any, name: str | None = None, **subsegment_kwargs: Any) -> None:
        self.name = name
        self.subsegment_kwargs = subsegment_kwargs
        self.recorder = recorder
        self.subsegment: Subsegment | None = None

    def __call__(self, wrapped: Any) -> Any:
        waits = iscoroutinefunction(wrapped) and hasattr(self.recorder, "record_subsegment_async")
        return _Captured(wrapped, self._record_async if waits else self._record)

    def _record(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        name = self.name or wrapped.__name__
        return self.recorder.record_subsegment(wrapped, instance, args, kwargs, name, "local", None)

    async def _record_async(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        name = self.name or wrapped.__name__
        return await self.recorder.record_subsegment_async(wrapped, instance, args, kwargs, name, "local", None)

    def __enter__(self) -> Subsegment | None:
        self.subsegment = self.recorder.begin_subsegment(name=self.name, **self.subsegment_kwargs)
        return self.subsegment

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        if self.subsegment is None:
            return
        if exc_type is not None:
            self.subsegment.add_exception(exc_val, traceback.extract_tb(exc_tb, limit=self.recorder.max_trace_back))
        self.recorder.end_subsegment()


class Subsegment(Entity):
    """A piece of work in a segment, or a call that it made (`namespace` "remote" or "aws")."""

    type = "subsegment"

    def __init__(self, name: str, namespace: str, segment: Segment) -> None:
        if not segment:
            raise SegmentNotFoundException("A parent segment is required for creating subsegments.")
        name = clean(name)
        call = namespace in _CALLS
        span = recorder.start(
            name, "", Kind.CLIENT if call else Kind.INTERNAL, namespace if call else "", above=segment.span
        )
        super().__init__(span, name)
        self.parent_segment = segment

    @classmethod
    def of(cls, span: Span, segment: Segment) -> Subsegment:
        """The view of a span that somebody else has begun."""
        subsegment = cls.__new__(cls)
        Entity.__init__(subsegment, span)
        subsegment.parent_segment = segment
        return subsegment

    @property
    def namespace(self) -> str:
        return self._segment.namespace or "local"

    @namespace.setter
    def namespace(self, value: str) -> None:
        if self._span.recording:
            call = value in _CALLS
            self._segment.namespace = value if call else ""
            self._segment.kind = Kind.CLIENT if call else Kind.INTERNAL

    @property
    def sql(self) -> dict[str, Any]:
        """A copy, in the shape of the document."""
        return dict(self.to_dict().get("sql", {}))

    @sql.setter
    def sql(self, value: dict[str, Any]) -> None:
        self.set_sql(value)

    def set_sql(self, sql: dict[str, Any]) -> None:
        """Keys as in the document; the query loses its literals."""
        if not self._span.recording:
            return
        known = {key: str(sql[key]) for key in _SQL if sql.get(key)}
        text = sql.get("sanitized_query")
        segment = self._segment
        if text:
            statement = _sql_text.statement(str(text), known.get("database_type", "").lower())
            known["query"] = statement.query
            segment.operation = segment.operation or statement.operation
        segment.sql = Sql(**known)
