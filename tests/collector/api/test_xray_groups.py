"""Groups through boto3, and what the operations that know groups make of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

ARN = re.compile(r"arn:aws:xray:local:000000000000:group/slow/[A-Z2-7]{16}")
DEFAULT = {
    "GroupName": "Default",
    "GroupARN": "arn:aws:xray:local:000000000000:group/Default",
    "InsightsConfiguration": {"InsightsEnabled": False, "NotificationsEnabled": False},
}


def names(api: Any) -> list[str]:
    return [group["GroupName"] for page in api.get_paginator("get_groups").paginate() for group in page["Groups"]]


def test_a_group_is_made_found_changed_and_deleted(api: Any) -> None:
    assert api.get_groups()["Groups"] == [DEFAULT]
    made = api.create_group(GroupName="slow", FilterExpression="responsetime > 2")["Group"]
    assert ARN.fullmatch(made["GroupARN"])
    assert made == {
        "GroupName": "slow",
        "GroupARN": made["GroupARN"],
        "FilterExpression": "responsetime > 2",
        "InsightsConfiguration": {"InsightsEnabled": False, "NotificationsEnabled": False},
    }
    for key in (
        {"GroupName": "slow"},
        {"GroupARN": made["GroupARN"]},
        {"GroupName": "slow", "GroupARN": made["GroupARN"]},
    ):
        assert api.get_group(**key)["Group"] == made
    assert api.get_groups()["Groups"] == [DEFAULT, made]
    changed = api.update_group(GroupARN=made["GroupARN"], FilterExpression="responsetime > 3")["Group"]
    assert changed == {**made, "FilterExpression": "responsetime > 3"} == api.get_group(GroupName="slow")["Group"]
    api.delete_group(GroupName="slow")
    assert api.get_groups()["Groups"] == [DEFAULT]
    with pytest.raises(api.exceptions.InvalidRequestException, match="there is no group with this GroupARN"):
        api.get_group(GroupARN=made["GroupARN"])
    again = api.create_group(GroupName="slow")["Group"]
    assert again["GroupARN"] != made["GroupARN"]
    assert "FilterExpression" not in again


def test_insights_are_switched_and_notifications_need_them(api: Any) -> None:
    api.create_group(GroupName="slow", InsightsConfiguration={"InsightsEnabled": True, "NotificationsEnabled": True})

    def change(**asked: bool) -> tuple[bool, bool]:
        group = api.update_group(GroupName="slow", InsightsConfiguration=asked)["Group"]
        return tuple(group["InsightsConfiguration"].values())

    assert change() == (True, True)
    assert change(NotificationsEnabled=False) == (True, False)
    assert change(NotificationsEnabled=True) == (True, True)
    assert change(InsightsEnabled=False) == (False, False)
    with pytest.raises(api.exceptions.InvalidRequestException, match="needs InsightsEnabled"):
        change(NotificationsEnabled=True)
    with pytest.raises(api.exceptions.InvalidRequestException, match="needs InsightsEnabled"):
        api.create_group(GroupName="other", InsightsConfiguration={"NotificationsEnabled": True})


def test_default_is_always_there(api: Any) -> None:
    assert api.get_group(GroupName="Default")["Group"] == DEFAULT
    changed = api.update_group(GroupName="Default", InsightsConfiguration={"InsightsEnabled": True})["Group"]
    assert changed["InsightsConfiguration"]["InsightsEnabled"] is True
    assert api.get_groups()["Groups"] == [changed]
    for refused, match in (
        (lambda: api.create_group(GroupName="Default"), "reserved"),
        (lambda: api.delete_group(GroupName="Default"), "cannot be deleted"),
        (lambda: api.update_group(GroupName="Default", FilterExpression="fault"), "all traces"),
    ):
        with pytest.raises(api.exceptions.InvalidRequestException, match=match):
            refused()


@pytest.mark.parametrize(
    ("operation", "members", "match"),
    [
        ("create_group", {"GroupName": "a_b"}, "letters, digits and dashes"),
        ("create_group", {"GroupName": "gr\u00fcn"}, "letters, digits and dashes"),
        ("create_group", {"GroupName": "used"}, "exists already"),
        ("create_group", {"GroupName": "a", "FilterExpression": "fault ="}, "FilterExpression: .*position 7"),
        ("create_group", {"GroupName": "a", "FilterExpression": "index > 5"}, "FilterExpression: "),
        ("create_group", {"GroupName": "a", "FilterExpression": 'group.name = "no"'}, "there is no group"),
        ("create_group", {"GroupName": "a", "FilterExpression": 'group.name = "a"'}, "by itself"),
        ("create_group", {"GroupName": "a", "FilterExpression": f'user = "{"x" * 2000}"'}, "at most 2000"),
        ("update_group", {"GroupName": "used", "FilterExpression": 'fault OR group.name = "uses"'}, "by itself"),
        ("update_group", {"FilterExpression": "fault"}, "GroupName or GroupARN is required"),
        ("update_group", {"GroupName": "no"}, "there is no group with this GroupName"),
        ("get_group", {}, "GroupName or GroupARN is required"),
        ("get_group", {"GroupName": "USED"}, "there is no group"),
        ("get_group", {"GroupName": "used", "GroupARN": "arn:no"}, "there is no group"),
        ("delete_group", {"GroupName": "no"}, "there is no group"),
        ("get_groups", {"NextToken": "!"}, "NextToken"),
    ],
)
def test_what_is_refused(api: Any, operation: str, members: dict[str, Any], match: str) -> None:
    api.create_group(GroupName="used", FilterExpression="fault")
    api.create_group(GroupName="uses", FilterExpression='group.name = "used"')
    with pytest.raises(api.exceptions.InvalidRequestException, match=match):
        getattr(api, operation)(**members)
    assert names(api) == ["Default", "used", "uses"]


def test_twenty_five_groups_and_no_more(api: Any) -> None:
    made = [f"group{number:02}" for number in range(25)]
    for name in reversed(made):
        api.create_group(GroupName=name)
    with pytest.raises(api.exceptions.InvalidRequestException, match="at most 25"):
        api.create_group(GroupName="more")
    pages = list(api.get_paginator("get_groups").paginate())
    assert [len(page["Groups"]) for page in pages] == [25, 1]
    assert names(api) == ["Default", *made]
    api.delete_group(GroupName="group00")
    token = pages[0]["NextToken"]
    assert [group["GroupName"] for group in api.get_groups(NextToken=token)["Groups"]] == ["group24"]
    api.create_group(GroupName="more")
