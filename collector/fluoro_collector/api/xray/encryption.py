"""GetEncryptionConfig, PutEncryptionConfig: kept and answered. What is stored is encrypted, or not, by the disk under it."""

from __future__ import annotations

import re
from typing import Any

from .request import invalid
from .shared import Body, Operation, Shared

_KIND = "encryption"
_NAME = "config"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}"
_ALIAS = "alias/[A-Za-z0-9/_-]+"
_KEY = re.compile(rf"{_UUID}|{_ALIAS}|arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{{12}}:(?:key/(?:{_UUID})|{_ALIAS})")


def get_encryption_config(shared: Shared, _: Body) -> Body:
    return {"EncryptionConfig": shared.configuration.get(_KIND, _NAME) or {"Type": "NONE", "Status": "ACTIVE"}}


def put_encryption_config(shared: Shared, body: Body) -> Body:
    key = body.get("KeyId", "")
    wanted: dict[str, Any] = {"Type": body["Type"], "Status": "ACTIVE"}
    if body["Type"] == "KMS":
        if not _KEY.fullmatch(key):
            raise invalid("KeyId must be the id, alias (alias/…) or ARN of a key when Type is KMS")
        wanted["KeyId"] = key
    elif key:
        raise invalid("KeyId must be left out when Type is NONE")
    with shared.configuration.edit(_KIND) as edit:
        edit.put(_NAME, wanted)
    return {"EncryptionConfig": wanted}


OPERATIONS: dict[str, Operation] = {
    "GetEncryptionConfig": get_encryption_config,
    "PutEncryptionConfig": put_encryption_config,
}
