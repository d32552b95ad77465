from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fluoro_collector.receivers.refusal import Refusal
from fluoro_collector.receivers.unpack import unpack

LIMIT = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    "identity": lambda data: data,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", PACKERS)
@given(data=st.binary(max_size=3000))
def test_what_was_packed_comes_out(encoding: str, data: bytes) -> None:
    assert unpack(PACKERS[encoding](data), encoding, LIMIT) == data


def test_variants_that_senders_use() -> None:
    data = os.urandom(3 << 18)
    assert unpack(raw_deflate(data), "deflate", LIMIT) == data
    assert unpack(gzip.compress(data[:100]) + gzip.compress(data[100:]), "gzip", LIMIT) == data
    stream = zstandard.ZstdCompressor().compressobj()  # no size in its header
    assert unpack(stream.compress(data) + stream.flush(), "zstd", LIMIT) == data


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_without_holding_it(encoding: str) -> None:
    bomb = PACKERS[encoding](bytes(100 << 20))
    assert len(bomb) < 120_000
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as refusal:
            unpack(bomb, encoding, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refusal.value.reason == "TooLarge"
    assert peak < 8 << 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("damage", ["truncated", "random", "other"])
def test_damaged_data_is_refused(encoding: str, damage: str) -> None:
    good = PACKERS[encoding](os.urandom(5000))
    data = {"truncated": good[:-10], "random": os.urandom(500), "other": b'{"plain": "json"}'}[damage]
    with pytest.raises(Refusal) as refusal:
        unpack(data, encoding, LIMIT)
    assert refusal.value.reason == "Undecodable"


def test_the_limit_itself_is_allowed() -> None:
    assert len(unpack(gzip.compress(bytes(LIMIT)), "gzip", LIMIT)) == LIMIT
    with pytest.raises(Refusal):
        unpack(gzip.compress(bytes(LIMIT + 1)), "gzip", LIMIT)


@pytest.mark.parametrize("encoding", ["br", "snappy", "gzip, gzip"])
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(Refusal) as refusal:
        unpack(b"", encoding, LIMIT)
    assert refusal.value.status == 415
