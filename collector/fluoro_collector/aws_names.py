"""Amazon Resource Names of what a collector keeps. There is one region and one account, and neither is anybody's."""

from __future__ import annotations

REGION = "local"
ACCOUNT = "000000000000"


def arn(kind: str, name: str) -> str:
    """Of an X-Ray "group" or "sampling-rule"; `name` may hold further parts."""
    return f"arn:aws:xray:{REGION}:{ACCOUNT}:{kind}/{name}"
