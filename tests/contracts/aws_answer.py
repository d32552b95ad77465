"""An answer of AWS that never crossed the network, for botocore's `before-send` event."""

from __future__ import annotations

import io
from typing import Any

from botocore.awsrequest import AWSResponse


class _Raw(io.BytesIO):
    """As much of urllib3's response as botocore reads."""

    def stream(self, **_: Any) -> Any:
        yield self.read()


def answered(status: int, body: bytes) -> AWSResponse:
    return AWSResponse("http://127.0.0.1/", status, {"x-amzn-requestid": "r"}, _Raw(body))
