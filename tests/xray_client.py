"""A stock boto3 client of the X-Ray API that holds every answer against the service model: no member that the model does
not have, no value of another type or outside its bounds. botocore itself drops what it does not know, and would hide both.
"""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import botocore.config
from botocore.model import ListShape, MapShape, Shape, StructureShape

# X-Ray itself answers null here, when the document could not be read.
NULL = {"PutTraceSegments.UnprocessedTraceSegments[].Id"}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "timestamp": (int, float),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}


def xray_client(url: str, *, validate: bool = True) -> Any:
    """Without retries. `validate` off sends what botocore would refuse itself."""
    config = botocore.config.Config(
        retries={"total_max_attempts": 1}, proxies={}, parameter_validation=validate, read_timeout=60
    )
    client = boto3.client(
        "xray",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        config=config,
    )
    client.meta.events.register("after-call.xray", _check_answer)
    return client


def _check_answer(http_response: Any, model: Any, **_: Any) -> None:
    body = json.loads(http_response.content)
    if http_response.status_code == 200:
        check(body, model.output_shape, model.name)
    else:
        name = body["__type"]
        assert http_response.headers["x-amzn-ErrorType"] == name
        declared = {shape.name: shape for shape in model.service_model.error_shapes}
        assert name in declared or http_response.status_code >= 500, (model.name, body)
        allowed = set(declared[name].members) if name in declared else set()
        assert body.keys() <= {"__type", "message"} | allowed, (model.name, body)
        assert body["message"]


def check(value: Any, shape: Shape, where: str) -> None:
    """Raises AssertionError when `value` is not what the model says."""
    if value is None and where in NULL:
        return
    assert isinstance(value, TYPES[shape.type_name]), (where, value)
    assert isinstance(value, bool) == (shape.type_name == "boolean"), (where, value)
    if shape.type_name == "integer":
        assert -(1 << 31) <= value < 1 << 31, (where, value)
    bounds = shape.metadata
    if shape.type_name in ("string", "list"):
        assert bounds.get("min", 0) <= len(value) <= bounds.get("max", len(value)), (where, value)
    if "enum" in bounds:
        assert value in bounds["enum"], (where, value)
    if "pattern" in bounds:
        assert re.fullmatch(bounds["pattern"], value), (where, value)
    if isinstance(shape, StructureShape):
        assert value.keys() <= shape.members.keys(), (where, value.keys() - shape.members.keys())
        assert set(shape.required_members) <= value.keys(), (where, value)
        for name, member in value.items():
            check(member, shape.members[name], f"{where}.{name}")
    elif isinstance(shape, ListShape):
        for item in value:
            check(item, shape.member, where + "[]")
    elif isinstance(shape, MapShape):
        for item in value.values():
            check(item, shape.value, where + "{}")
