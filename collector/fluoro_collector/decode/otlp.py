"""OTLP trace requests, protobuf and JSON → segments. The mapping itself is `otlp_spans` and `fluoro.otel.semantics`."""

from __future__ import annotations

from fluoro_collector.decode.otlp_json import decode_json
from fluoro_collector.decode.otlp_protobuf import decode_protobuf

__all__ = ["decode_json", "decode_protobuf"]
