"""Tags of groups and sampling rules: TagResource, UntagResource, ListTagsForResource. They are part of what is tagged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import msgspec

from fluoro_collector.query import groups
from fluoro_collector.query.groups import Group
from fluoro_collector.sampling import rules
from fluoro_collector.sampling.rules import Rule

from .request import XRayError, invalid, no_token
from .shared import Body, Operation, Shared

MOST = 50  # tags of one resource
_RESERVED = "aws:"
_CHARACTERS = re.compile(r"[\w\s.:/=+\-@]*")

_Tagged = Union[Group, Rule]
_KINDS: dict[str, Callable[[Mapping[str, dict[str, Any]]], Iterable[_Tagged]]] = {
    groups.KIND: groups.every,
    rules.KIND: rules.every,
}


def tags_of(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Input member Tags, checked."""
    found: dict[str, str] = {}
    for tag in given:
        key, value = tag["Key"], tag["Value"]
        if key in found:
            raise invalid(f"Tags has the key {key!r} twice")
        if key.lower().startswith(_RESERVED):
            raise invalid(f"Tags: the key {key!r} begins with {_RESERVED}, which is reserved")
        if not (_CHARACTERS.fullmatch(key) and _CHARACTERS.fullmatch(value)):
            raise invalid(f"Tags: {key!r} and its value may have letters, digits, spaces and _ . : / = + - @")
        found[key] = value
    return _counted(found)


def tag_resource(shared: Shared, body: Body) -> Body:
    """A key that the resource has gets the new value."""
    added = tags_of(body["Tags"])
    _change(shared, body["ResourceARN"], lambda tags: {**tags, **added})
    return {}


def untag_resource(shared: Shared, body: Body) -> Body:
    """Keys that the resource does not have are no error."""
    removed = set(body["TagKeys"])
    _change(shared, body["ResourceARN"], lambda tags: {key: tags[key] for key in tags.keys() - removed})
    return {}


def list_tags_for_resource(shared: Shared, body: Body) -> Body:
    no_token(body)
    arn = body["ResourceARN"]
    for kind, every in _KINDS.items():
        for each in every(shared.configuration.all(kind).by_name):
            if each.arn == arn:
                return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(each.tags.items())]}
    raise _unknown(arn)


def _change(shared: Shared, arn: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    for kind, every in _KINDS.items():
        with shared.configuration.edit(kind) as edit:
            for each in every(edit.documents.by_name):
                if each.arn == arn:
                    tags = _counted(change(each.tags), arn)
                    edit.put(each.name, msgspec.to_builtins(msgspec.structs.replace(each, tags=tags)))
                    return
    raise _unknown(arn)


def _counted(tags: dict[str, str], arn: str = "") -> dict[str, str]:
    if len(tags) > MOST:
        raise XRayError(
            "TooManyTagsException",
            f"a resource can have at most {MOST} tags",
            more={"ResourceName": arn} if arn else {},
        )
    return tags


def _unknown(arn: str) -> XRayError:
    message = "there is no group or sampling rule with this ResourceARN"
    return XRayError("ResourceNotFoundException", message, 404, more={"ResourceName": arn})


OPERATIONS: dict[str, Operation] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
