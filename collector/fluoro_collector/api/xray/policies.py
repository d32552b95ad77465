"""PutResourcePolicy, DeleteResourcePolicy, ListResourcePolicies: kept and checked. Nobody is let in or kept out by them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any

import msgspec

from .request import XRayError, invalid, no_token
from .shared import Body, Operation, Shared

MOST = 5
MAX_BYTES = 5 * 1024
_KIND = "policy"
_VERSIONS = ("2012-10-17", "2008-10-17")
_GUARDED = "xray:putresourcepolicy"  # what a policy must not take from everybody
_STATEMENT = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip


def put_resource_policy(shared: Shared, body: Body) -> Body:
    name, document, expected = body["PolicyName"], body["PolicyDocument"], body.get("PolicyRevisionId")
    if len(document.encode()) > MAX_BYTES:
        raise XRayError("PolicySizeLimitExceededException", f"PolicyDocument has over {MAX_BYTES} bytes")
    statements = _statements(document)
    if not body.get("BypassPolicyLockoutCheck") and any(map(_locks_out, statements)):
        message = (
            "PolicyDocument would let nobody call PutResourcePolicy; BypassPolicyLockoutCheck stores it all the same"
        )
        raise XRayError("LockoutPreventionException", message)
    with shared.configuration.edit(_KIND) as edit:
        kept = edit.documents.by_name.get(name)
        # "0" is for a policy that must not exist yet.
        if expected is not None and expected != (kept["revision"] if kept else "0"):
            raise _wrong_revision()
        if kept is None and len(edit.documents.by_name) >= MOST:
            raise XRayError("PolicyCountLimitExceededException", f"there can be at most {MOST} resource policies")
        revision = str(int(kept["revision"]) + 1) if kept else "1"
        policy = {"document": document, "revision": revision, "updated": shared.now()}
        edit.put(name, policy)
    return {"ResourcePolicy": _shown(name, policy)}


def delete_resource_policy(shared: Shared, body: Body) -> Body:
    name, expected = body["PolicyName"], body.get("PolicyRevisionId")
    with shared.configuration.edit(_KIND) as edit:
        kept = edit.documents.by_name.get(name)
        if kept is None:
            raise invalid("there is no resource policy with this PolicyName")
        if expected is not None and expected != kept["revision"]:
            raise _wrong_revision()
        edit.delete(name)
    return {}


def list_resource_policies(shared: Shared, body: Body) -> Body:
    """All on one page."""
    no_token(body)
    return {"ResourcePolicies": [_shown(*each) for each in shared.configuration.all(_KIND).by_name.items()]}


def _statements(document: str) -> list[dict[str, Any]]:
    """Statements of a policy. Raises MalformedPolicyDocumentException with what is missing."""
    try:
        policy = msgspec.json.decode(document)
    except (ValueError, RecursionError):
        raise _malformed("it is not JSON") from None
    if not isinstance(policy, dict):
        raise _malformed("it is not a JSON object")
    if policy.get("Version") not in _VERSIONS:
        raise _malformed(f"Version must be {_VERSIONS[0]}")
    statements = policy.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements:
        raise _malformed("Statement must be a statement, or a list of them")
    for statement in statements:
        if not isinstance(statement, dict) or not statement.keys() <= _STATEMENT:
            raise _malformed(f"a statement may have {', '.join(sorted(_STATEMENT))}")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise _malformed("Effect must be Allow or Deny")
        for element in ("Principal", "Action", "Resource"):
            if (element in statement) == (f"Not{element}" in statement):
                raise _malformed(f"a statement must have {element} or Not{element}")
        for element in ("Action", "NotAction", "Resource", "NotResource"):
            if element in statement and not all(isinstance(each, str) and each for each in _many(statement[element])):
                raise _malformed(f"{element} must be a string, or a list of them")
        principal = statement.get("Principal", statement.get("NotPrincipal"))
        if principal != "*" and not isinstance(principal, dict):
            raise _malformed('Principal must be "*" or an object')
    return statements


def _locks_out(statement: dict[str, Any]) -> bool:
    """Whether it denies everybody, on no condition, to change policies."""
    if statement["Effect"] != "Deny" or statement.get("Condition"):
        return False
    principal = statement.get("Principal")
    everybody = principal == "*" or (isinstance(principal, dict) and "*" in _many(principal.get("AWS", ())))
    if "Action" in statement:
        return everybody and _covers(_many(statement["Action"]))
    return everybody and not _covers(_many(statement["NotAction"]))


def _covers(actions: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(_GUARDED, action.lower().replace("[", "[[]")) for action in actions)


def _many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _malformed(why: str) -> XRayError:
    return XRayError("MalformedPolicyDocumentException", f"PolicyDocument: {why}")


def _wrong_revision() -> XRayError:
    return XRayError("InvalidPolicyRevisionIdException", "PolicyRevisionId is not the revision that is stored")


def _shown(name: str, policy: dict[str, Any]) -> dict[str, Any]:
    return {
        "PolicyName": name,
        "PolicyDocument": policy["document"],
        "PolicyRevisionId": policy["revision"],
        "LastUpdatedTime": policy["updated"],
    }


OPERATIONS: dict[str, Operation] = {
    "PutResourcePolicy": put_resource_policy,
    "DeleteResourcePolicy": delete_resource_policy,
    "ListResourcePolicies": list_resource_policies,
}
