"""Operations on groups: CreateGroup, UpdateGroup, DeleteGroup, GetGroup, GetGroups."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable
from typing import Any

import msgspec

from fluoro_collector.aws_names import arn
from fluoro_collector.query.filter.compile import compile_filter
from fluoro_collector.query.filter.errors import FilterError
from fluoro_collector.query.filter.parse import parse
from fluoro_collector.query.groups import DEFAULT, KIND, Group, every, lookup

from .paging import page
from .request import at_most, invalid
from .shared import MAX_EXPRESSION, Body, Operation, Shared
from .tags import tags_of

MOST = 25  # groups besides Default
PAGE = 25
_NAME = re.compile(r"[A-Za-z0-9-]+")


def create_group(shared: Shared, body: Body) -> Body:
    name, expression = body["GroupName"], body.get("FilterExpression", "")
    if not _NAME.fullmatch(name):
        raise invalid("GroupName may have letters, digits and dashes")
    tags = tags_of(body.get("Tags", ()))
    with shared.configuration.edit(KIND) as edit:
        others = every(edit.documents.by_name)
        if any(name == other.name for other in others):
            raise invalid(f"GroupName: {name} is reserved" if name == DEFAULT else f"the group {name} exists already")
        if len(others) > MOST:
            raise invalid(f"there can be at most {MOST} groups")
        unique = base64.b32encode(secrets.token_bytes(10)).decode()
        group = Group(
            name=name,
            arn=arn(KIND, f"{name}/{unique}"),
            expression=expression,
            **_insights(Group(name="", arn=""), body),
            tags=tags,
            modified=shared.now(),
        )
        _check_expression(group, others)
        edit.put(name, msgspec.to_builtins(group))
    return {"Group": _shown(group)}


def update_group(shared: Shared, body: Body) -> Body:
    """Of Default only the insights change: it is the group of all traces."""
    with shared.configuration.edit(KIND) as edit:
        others = every(edit.documents.by_name)
        group = _asked(others, body)
        expression = body.get("FilterExpression", group.expression)
        if group.name == DEFAULT and expression:
            raise invalid("FilterExpression: Default is the group of all traces")
        group = msgspec.structs.replace(group, expression=expression, **_insights(group, body), modified=shared.now())
        _check_expression(group, others)
        edit.put(group.name, msgspec.to_builtins(group))
    return {"Group": _shown(group)}


def delete_group(shared: Shared, body: Body) -> Body:
    with shared.configuration.edit(KIND) as edit:
        group = _asked(every(edit.documents.by_name), body)
        if group.name == DEFAULT:
            raise invalid("the group Default cannot be deleted")
        edit.delete(group.name)
    return {}


def get_group(shared: Shared, body: Body) -> Body:
    return {"Group": _shown(_asked(shared.groups.all(), body))}


def get_groups(shared: Shared, body: Body) -> Body:
    """Default first, then by name."""
    listed, token = page(shared.groups.all(), lambda group: f"{group.name != DEFAULT:d}{group.name}", body, PAGE)
    return {"Groups": [_shown(group) for group in listed], **token}


def asked_group(shared: Shared, body: Body) -> Group | None:
    """The group that GroupName or GroupARN names, for operations where they are optional."""
    return _asked(shared.groups.all(), body) if "GroupName" in body or "GroupARN" in body else None


def _asked(groups: Iterable[Group], body: Body) -> Group:
    name, wanted = body.get("GroupName"), body.get("GroupARN")
    if name is None and wanted is None:
        raise invalid("GroupName or GroupARN is required")
    for group in groups:
        if name in (None, group.name) and wanted in (None, group.arn):
            return group
    raise invalid("there is no group with this GroupName" if wanted is None else "there is no group with this GroupARN")


def _insights(group: Group, body: Body) -> dict[str, bool]:
    """Insights and notifications as `body` changes them. Switching insights off switches notifications off."""
    asked = body.get("InsightsConfiguration", {})
    insights = asked.get("InsightsEnabled", group.insights)
    notifications = asked.get("NotificationsEnabled", group.notifications and insights)
    if notifications and not insights:
        raise invalid("InsightsConfiguration.NotificationsEnabled needs InsightsEnabled")
    return {"insights": insights, "notifications": notifications}


def _check_expression(group: Group, others: Iterable[Group]) -> None:
    """It must be a filter expression, and the groups in it must exist and not lead back to this one."""
    at_most(group.expression, MAX_EXPRESSION, "FilterExpression")
    if not group.expression:
        return
    try:
        compile_filter(parse(group.expression), lookup([*(each for each in others if each.name != group.name), group]))
    except FilterError as error:
        raise invalid(f"FilterExpression: {error}") from None


def _shown(group: Group) -> dict[str, Any]:
    return {
        "GroupName": group.name,
        "GroupARN": group.arn,
        **({"FilterExpression": group.expression} if group.expression else {}),
        "InsightsConfiguration": {"InsightsEnabled": group.insights, "NotificationsEnabled": group.notifications},
    }


OPERATIONS: dict[str, Operation] = {
    "CreateGroup": create_group,
    "UpdateGroup": update_group,
    "DeleteGroup": delete_group,
    "GetGroup": get_group,
    "GetGroups": get_groups,
}
