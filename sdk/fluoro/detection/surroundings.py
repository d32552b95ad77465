"""How a detector looks around: variables, small files, and HTTP to addresses that never leave the machine."""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

REQUEST_S = 0.2  # for one answer
_MAX_ANSWER = 256 * 1024
_MAX_FILE = 256 * 1024
_NEAR = ("169.254.", "127.", "fd00:ec2:", "::1", "localhost")


class Place(NamedTuple):
    """`origin` is X-Ray's ("AWS::EC2::Instance"), "" when the place has none; `attributes` are OpenTelemetry's."""

    origin: str
    attributes: dict[str, Any]


NOWHERE = Place("", {})


class Surroundings:
    """`root` is the folder that files are looked for in, `instance_metadata` the base URL of EC2's service; `budget_s`
    is for all requests together, counted from the first.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        root: str = "/",
        instance_metadata: str = "http://169.254.169.254",
        budget_s: float = 0.5,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._root = root.rstrip("/")
        self.instance_metadata = instance_metadata
        self._budget_s = budget_s
        self._deadline = 0.0

    def variable(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def text(self, path: str) -> str:
        """The file's text, at most 256 KB; "" when there is none that can be read."""
        try:
            with open(self._root + path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  no pathlib here
                return file.read(_MAX_FILE)
        except OSError:
            return ""

    def ask(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> str:
        """The answer's text; "" without one in time. Only link-local and loopback addresses are asked."""
        now = monotonic()
        self._deadline = self._deadline or now + self._budget_s
        left_s = min(REQUEST_S, self._deadline - now)
        parts = urlsplit(url)
        if left_s <= 0 or parts.scheme != "http" or not (parts.hostname or "").startswith(_NEAR):
            return ""
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=left_s)
        try:
            connection.request(method, parts.path or "/", headers=dict(headers or {}))
            answer = connection.getresponse()
            body = answer.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException):
            self._deadline -= self._budget_s  # nobody is there: do not wait again
            return ""
        finally:
            connection.close()
        return body.decode("utf-8", "replace") if answer.status == 200 else ""


def mapping(text: str) -> dict[str, Any]:
    """The JSON object in `text`; an empty one for anything else."""
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def arn_parts(arn: object) -> tuple[str, str]:
    """(region, account) of `arn:partition:service:region:account:…`, "" where it has none."""
    parts = arn.split(":") if isinstance(arn, str) else []
    return (parts[3], parts[4]) if len(parts) > 5 else ("", "")


def short(value: object) -> str:
    """Text from outside, cut."""
    return str(value)[:500] if isinstance(value, (str, int)) else ""
