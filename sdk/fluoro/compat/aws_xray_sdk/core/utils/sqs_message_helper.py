from __future__ import annotations

from typing import Any

SQS_XRAY_HEADER = "AWSTraceHeader"


class SqsMessageHelper:
    @staticmethod
    def isSampled(sqs_message: dict[str, Any]) -> bool:  # noqa: N802  the original's name
        """Of a record that AWS Lambda was called with."""
        return "Sampled=1" in sqs_message["attributes"].get(SQS_XRAY_HEADER, "")
