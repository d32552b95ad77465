from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from fluoro.compat.aws_xray_sdk.core.models.segment import Segment, SegmentContextManager
from fluoro.compat.aws_xray_sdk.core.models.subsegment import Subsegment, SubsegmentContextManager
from fluoro.compat.aws_xray_sdk.core.recorder import AWSXRayRecorder


class AsyncSegmentContextManager(SegmentContextManager):
    """`async with xray_recorder.in_segment_async(…)`."""

    async def __aenter__(self) -> Segment | None:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc_val, exc_tb)


class AsyncSubsegmentContextManager(SubsegmentContextManager):
    """`async with xray_recorder.in_subsegment_async(…)`."""

    async def __aenter__(self) -> Subsegment | None:
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.__exit__(exc_type, exc_val, exc_tb)


class AsyncAWSXRayRecorder(AWSXRayRecorder):
    def capture_async(self, name: str | None = None) -> AsyncSubsegmentContextManager:
        """A decorator for coroutine functions: each call in a subsegment, called `name` or as the function."""
        return self.in_subsegment_async(name=name)

    def in_segment_async(self, name: str | None = None, **segment_kwargs: Any) -> AsyncSegmentContextManager:
        return AsyncSegmentContextManager(self, name=name, **segment_kwargs)

    def in_subsegment_async(self, name: str | None = None, **subsegment_kwargs: Any) -> AsyncSubsegmentContextManager:
        return AsyncSubsegmentContextManager(self, name=name, **subsegment_kwargs)

    async def record_subsegment_async(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: Any,
        kwargs: Any,
        name: str,
        namespace: str,
        meta_processor: Callable[..., None] | None,
    ) -> Any:
        """As `record_subsegment`, of a coroutine function."""
        subsegment = self.begin_subsegment(name, namespace)
        result, raised = None, None
        try:
            result = await wrapped(*args, **kwargs)
        except Exception as error:
            raised = error
            raise
        finally:
            if subsegment is not None:
                self._finish(subsegment, wrapped, instance, args, kwargs, result, raised, meta_processor)
        return result
