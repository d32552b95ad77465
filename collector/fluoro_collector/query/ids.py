"""Trace ids between their 16 bytes and the texts people and SDKs write."""

from __future__ import annotations

import re

from fluoro.xray_document import trace_id as format_trace_id

__all__ = ["format_trace_id", "parse_trace_id"]

_XRAY = re.compile(r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")
_W3C = re.compile(r"[0-9a-fA-F]{32}")


def parse_trace_id(text: str) -> bytes | None:
    """The 16 bytes of "1-8hex-24hex" or of 32 hex digits (W3C); None when it is neither."""
    if found := _XRAY.fullmatch(text):
        return bytes.fromhex(found[1] + found[2])
    return bytes.fromhex(text) if _W3C.fullmatch(text) else None
