"""Which errors of ClickHouse pass by themselves. One table for both engines."""

from __future__ import annotations

import re

from .engine import StoreBusy, StoreError

# Error codes after which the same statement may succeed later.
RETRYABLE_CODES = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE
        159,  # TIMEOUT_EXCEEDED
        164,  # READONLY
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        254,  # TOO_MANY_UNAVAILABLE_SHARDS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR: a disk that is full or gone
        439,  # CANNOT_SCHEDULE_TASK
        473,  # DEADLOCK_AVOIDED
        499,  # S3_ERROR
        574,  # DISTRIBUTED_TOO_MANY_PENDING_BYTES
        774,  # the table's setting table_readonly
        677,  # TOO_MANY_MUTATIONS… of a table that is behind
        999,  # KEEPER_EXCEPTION
        1000,  # POCO_EXCEPTION: name resolution, sockets
    }
)
# The host refused before it took anything: another one may do it.
NOT_HERE_CODES = frozenset(
    {
        164,  # READONLY
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        242,  # TABLE_IS_READ_ONLY: a replica that lost Keeper
        243,  # NOT_ENOUGH_SPACE
        439,  # CANNOT_SCHEDULE_TASK
        774,  # the table's setting table_readonly
    }
)
# The host cannot say whether it was done: what may be done twice may be tried on another one.
UNSURE_CODES = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED: it is shutting down
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        999,  # KEEPER_EXCEPTION
    }
)
_CODE = re.compile(r"Code: (\d+)\.")


def classify(message: str, code: int | None = None) -> StoreError:
    """The exception for an engine's error text. `code` is read from the text if it is not given."""
    if code is None:
        found = _CODE.search(message)
        code = int(found.group(1)) if found else 0
    return (StoreBusy if code in RETRYABLE_CODES else StoreError)(message.strip())
