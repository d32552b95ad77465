"""X-Ray's `aws` section of a segment ↔ OpenTelemetry's resource attributes, and the origin both imply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# (path in the segment's `aws` section, resource attribute). Where two paths name one attribute the first is written.
_PAIRS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("account_id",), "cloud.account.id"),
    (("ec2", "instance_id"), "host.id"),
    (("ec2", "instance_size"), "host.type"),
    (("ec2", "instance_type"), "host.type"),
    (("ec2", "availability_zone"), "cloud.availability_zone"),
    (("ec2", "ami_id"), "host.image.id"),
    (("ecs", "container"), "container.name"),
    (("ecs", "container_id"), "container.id"),
    (("ecs", "container_arn"), "aws.ecs.container.arn"),
    (("ecs", "task_arn"), "aws.ecs.task.arn"),
    (("ecs", "task_family"), "aws.ecs.task.family"),
    (("ecs", "cluster_arn"), "aws.ecs.cluster.arn"),
    (("ecs", "launch_type"), "aws.ecs.launchtype"),
    (("ecs", "availability_zone"), "cloud.availability_zone"),
    (("eks", "pod"), "k8s.pod.name"),
    (("eks", "cluster_name"), "k8s.cluster.name"),
    (("eks", "container_id"), "container.id"),
    (("elastic_beanstalk", "environment_name"), "service.namespace"),
    (("elastic_beanstalk", "deployment_id"), "service.instance.id"),
    (("xray", "sdk"), "telemetry.sdk.name"),
    (("xray", "sdk_version"), "telemetry.sdk.version"),
)

# Sections that apply to an origin; without one of these origins only the account and the SDK are written.
_SECTIONS = {
    "AWS::EC2::Instance": ("ec2",),
    "AWS::ECS::Container": ("ecs",),
    "AWS::ECS::EC2": ("ecs", "ec2"),
    "AWS::ECS::Fargate": ("ecs",),
    "AWS::EKS::Container": ("eks",),
    "AWS::ElasticBeanstalk::Environment": ("elastic_beanstalk", "ec2"),
}

# `cloud.platform` → origin, with both spellings of the conventions (aws_ec2, aws.ec2).
_PLATFORMS = {
    "aws_ec2": "AWS::EC2::Instance",
    "aws_ecs": "AWS::ECS::Container",
    "aws_eks": "AWS::EKS::Container",
    "aws_elastic_beanstalk": "AWS::ElasticBeanstalk::Environment",
    "aws_app_runner": "AWS::AppRunner::Service",
    "aws_lambda": "AWS::Lambda::Function",
}
_LAUNCH_TYPES = {"ec2": "AWS::ECS::EC2", "fargate": "AWS::ECS::Fargate"}


def attributes_of(aws: Mapping[str, Any]) -> dict[str, Any]:
    """The resource attributes that a segment's `aws` section states."""
    found: dict[str, Any] = {}
    for path, attribute in _PAIRS:
        value: Any = aws
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, (str, int)) and value != "" and attribute not in found:
            found[attribute] = str(value)
    return found


def section_of(attributes: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The `aws` section that X-Ray shows on a segment of `origin` whose resource has `attributes`."""
    aws: dict[str, Any] = {}
    sections = ("xray", *_SECTIONS.get(origin, ()))
    for path, attribute in _PAIRS:
        value = attributes.get(attribute)
        if not isinstance(value, str) or not value:
            continue
        if len(path) == 1:
            aws[path[0]] = value
        elif path[0] in sections and path[1] != "instance_type":
            aws.setdefault(path[0], {})[path[1]] = value
    return aws


def origin_of_section(aws: Mapping[str, Any]) -> str:
    """The origin implied by a segment that gives none; the most specific platform wins."""
    for section, origin in (
        ("elastic_beanstalk", "AWS::ElasticBeanstalk::Environment"),
        ("eks", "AWS::EKS::Container"),
        ("ecs", "AWS::ECS::Container"),
        ("ec2", "AWS::EC2::Instance"),
    ):
        if aws.get(section):
            return origin
    return ""


def origin_of_platform(attributes: Mapping[str, Any]) -> str:
    """The origin of a resource, from `cloud.platform` and, on ECS, `aws.ecs.launchtype`."""
    platform = attributes.get("cloud.platform")
    if not isinstance(platform, str):
        return ""
    origin = _PLATFORMS.get(platform.replace(".", "_").lower(), "")
    if origin == "AWS::ECS::Container":
        return _LAUNCH_TYPES.get(str(attributes.get("aws.ecs.launchtype", "")).lower(), origin)
    return origin
