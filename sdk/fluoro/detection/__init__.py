"""Where in AWS this process runs: origin, account, region, instance, container, function, build.

    environment   Lambda, Batch, CodeBuild, App Runner: environment variables
    beanstalk     Elastic Beanstalk: a file
    eks           Elastic Kubernetes Service: the service account's token
    ecs           Elastic Container Service: its metadata service
    ec2           an instance: its firmware's name, then its metadata service
    surroundings  how a detector looks around: variables, files, and link-local HTTP within a time budget

It runs in the thread that sends, before the first batch, and at most `BUDGET_S` there: a program's start never waits
for it. No address is asked unless a variable or a file has said that we are where it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fluoro import diagnostics
from fluoro.aws_resource import origin_of_platform
from fluoro.detection import beanstalk, ec2, ecs, eks, environment
from fluoro.detection.surroundings import NOWHERE, Place, Surroundings
from fluoro.settings import DETECTORS, Settings

__all__ = ["NOWHERE", "Detection", "Place"]

BUDGET_S = 0.5

_Detector = Callable[[Surroundings, bool], Place | None]

# The most specific place first: its origin is ours, and what it says is not overwritten by the others.
_DETECTORS: dict[str, _Detector] = {
    "lambda": environment.function,
    "apprunner": environment.app_runner,
    "beanstalk": beanstalk.detect,
    "batch": environment.batch_job,
    "codebuild": environment.build,
    "eks": eks.detect,
    "ecs": ecs.detect,
    "ec2": ec2.detect,
}
if set(_DETECTORS) != set(DETECTORS):
    raise AssertionError("settings.DETECTORS lists the detectors")


class Detection:
    """Looks around once in a process; a forked child is where its parent is."""

    def __init__(self, settings: Settings, surroundings: Callable[[], Surroundings] | None = None) -> None:
        self._settings = settings
        self._surroundings = surroundings or (lambda: Surroundings(budget_s=BUDGET_S))
        self._found: Place | None = None

    def place(self) -> Place:
        """May take `BUDGET_S` the first time. What the settings say of the resource wins."""
        if self._found is None:
            self._found = self._look()
        return self._found

    def _look(self) -> Place:
        wanted, said = self._settings.detectors, self._settings.attributes
        around = self._surroundings()
        origin = origin_of_platform(said)
        attributes: dict[str, Any] = {}
        for name, detect in _DETECTORS.items():
            if "all" not in wanted and name not in wanted:
                continue
            try:
                place = detect(around, name in wanted)
            except Exception as error:  # noqa: BLE001  a strange answer costs what it would have told
                diagnostics.internal_error(f"detection.{name}", error)
                continue
            if place is not None:
                origin = origin or place.origin
                attributes = {**place.attributes, **attributes}
        region = around.variable("AWS_REGION") or around.variable("AWS_DEFAULT_REGION")
        if attributes:
            attributes.setdefault("cloud.provider", "aws")
            if region:
                attributes.setdefault("cloud.region", region)
        known = {key: value for key, value in attributes.items() if value not in ("", None)}
        return Place(origin, {**known, **said})
