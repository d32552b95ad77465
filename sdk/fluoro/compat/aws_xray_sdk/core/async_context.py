from __future__ import annotations

from typing import Any

from fluoro.compat.aws_xray_sdk.core.context import Context


class AsyncContext(Context):
    """The same as Context, which tasks do not share: no task factory is needed, and the loop keeps its own."""

    def __init__(self, *args: Any, loop: Any = None, use_task_factory: bool = True, **kwargs: Any) -> None:  # noqa: ARG002
        super().__init__(*args, **kwargs)
