"""Native batches: msgpack arrays, the resource once per batch. Media type `application/x-fluoro-batch`.

Pure functions; no I/O. X-Ray documents and OTLP have modules of their own in `fluoro_collector.decode`.
"""

from __future__ import annotations

import msgspec

from fluoro.errors import WireError
from fluoro.model import WIRE_VERSION, Batch

MEDIA_TYPE = "application/x-fluoro-batch"

encode_batch = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Batch)


def decode_batch(data: bytes) -> Batch:
    """The batch in `data`; raises WireError, which names the path of the first bad field.

    One bad segment fails the whole batch here; the collector's decoder falls back to segment by segment.
    """
    try:
        batch = _decoder.decode(data)
    except (ValueError, RecursionError) as error:  # DecodeError is a ValueError; so is a string that is not UTF-8
        raise WireError(f"not a native batch: {error}") from None
    if batch.version != WIRE_VERSION:
        raise WireError(f"native batch version {batch.version}; this collector reads version {WIRE_VERSION}")
    return batch
