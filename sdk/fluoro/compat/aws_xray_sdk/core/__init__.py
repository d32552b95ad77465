from __future__ import annotations

from fluoro.compat.aws_xray_sdk.core.async_recorder import AsyncAWSXRayRecorder
from fluoro.compat.aws_xray_sdk.core.patcher import patch, patch_all
from fluoro.compat.aws_xray_sdk.core.recorder import AWSXRayRecorder

xray_recorder = AsyncAWSXRayRecorder()

__all__ = ["AWSXRayRecorder", "patch", "patch_all", "xray_recorder"]
