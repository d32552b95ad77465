"""Undo a Content-Encoding without ever holding more than the limit. Pure."""

from __future__ import annotations

import zlib

import zstandard

from fluoro_collector.receivers.refusal import Refusal

ENCODINGS = ("gzip", "deflate", "zstd")
_CHUNK = 1 << 20


def unpack(data: bytes, encoding: str, limit: int) -> bytes:
    """`data` decompressed; `encoding` is "", "identity", "gzip", "deflate" or "zstd".

    Raises Refusal: TooLarge beyond `limit` bytes, Undecodable for damaged or truncated data, UnsupportedEncoding.
    """
    if encoding in {"", "identity"}:
        return data
    if encoding == "gzip":
        return _inflate(data, 16 + zlib.MAX_WBITS, limit)
    if encoding == "deflate":
        # RFC 9110 means zlib's format; some senders write a raw stream. A zlib header is a multiple of 31.
        wrapped = len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return _inflate(data, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS, limit)
    if encoding == "zstd":
        return _unzstd(data, limit)
    known = ", ".join(ENCODINGS)
    raise Refusal("UnsupportedEncoding", f"this Content-Encoding is not supported; send one of {known}, or none")


def too_large(limit: int) -> Refusal:
    return Refusal("TooLarge", f"the request is larger than {limit} bytes (decompressed); send smaller batches")


def _inflate(data: bytes, window: int, limit: int) -> bytes:
    out: list[bytes] = []
    total = 0
    try:
        while True:  # a gzip body may have several members
            inflater = zlib.decompressobj(window)
            while not inflater.eof:
                piece = inflater.decompress(data, _CHUNK)
                data = inflater.unconsumed_tail
                total += len(piece)
                if total > limit:
                    raise too_large(limit)
                out.append(piece)
                if not piece and not data and not inflater.eof:
                    raise Refusal("Undecodable", "the compressed body is truncated")
            data = inflater.unused_data
            if not data:
                return b"".join(out)
            if window < 16:
                raise Refusal("Undecodable", "bytes follow the end of the compressed body")
    except zlib.error:
        raise Refusal("Undecodable", "the body is not what its Content-Encoding says") from None


def _unzstd(data: bytes, limit: int) -> bytes:
    # The window is bounded: a frame may ask for gigabytes before its first byte is out.
    unpacker = zstandard.ZstdDecompressor(max_window_size=128 << 20)
    out: list[bytes] = []
    try:
        # Twice: the reader bounds the size but takes a truncated frame for a short one, the object does the reverse.
        reader = unpacker.stream_reader(data, read_across_frames=True)
        total = 0
        while piece := reader.read(_CHUNK):
            total += len(piece)
            if total > limit:
                raise too_large(limit)
        while data:
            frame = unpacker.decompressobj()
            out.append(frame.decompress(data))
            if not frame.eof:
                raise Refusal("Undecodable", "the compressed body is truncated")
            data = frame.unused_data
    except zstandard.ZstdError:
        raise Refusal("Undecodable", "the body is not what its Content-Encoding says") from None
    return b"".join(out)
