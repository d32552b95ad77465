"""Segments as golden files write them: a JSON object of the fields that say something."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

GOLDEN = Path(__file__).parent / "golden"
IDENTITY = frozenset({"trace_id", "id", "parent_id", "start", "end"})


def cases(pattern: str) -> list[Any]:
    """Every case of the golden files that match, as pytest parameters' values; each has a "case" that names it."""
    files = sorted(GOLDEN.glob(pattern))
    assert files, f"no golden file matches {pattern}"
    return [case for file in files for case in json.loads(file.read_text())]


def told(value: Any, leave_out: frozenset[str] = frozenset()) -> Any:
    """`value` with structs as objects of their non-default fields, enums as names, bytes as hex."""
    if isinstance(value, msgspec.Struct):
        empty = type(value)(*[_blank(field) for field in msgspec.structs.fields(type(value)) if field.required])
        return {
            name: told(found)
            for name in value.__struct_fields__
            if name not in leave_out and (found := getattr(value, name)) != getattr(empty, name)
        }
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items()}
    return [told(item) for item in value] if isinstance(value, (list, tuple)) else value


def _blank(field: msgspec.structs.FieldInfo) -> Any:
    return {int: 0, str: "", bytes: b""}[field.type]
