"""Elastic Container Service, on EC2 and Fargate: its task metadata service, version 4 (or 3)."""

from __future__ import annotations

from typing import Any

from fluoro.detection.surroundings import Place, Surroundings, arn_parts, mapping, short

_ORIGINS = {"EC2": "AWS::ECS::EC2", "FARGATE": "AWS::ECS::Fargate"}


def detect(around: Surroundings, named: bool) -> Place | None:
    address = around.variable("ECS_CONTAINER_METADATA_URI_V4") or around.variable("ECS_CONTAINER_METADATA_URI")
    runtime = around.variable("AWS_EXECUTION_ENV")  # AWS_ECS_EC2, AWS_ECS_FARGATE
    if not address and not runtime.startswith("AWS_ECS") and not named:
        return None
    container = mapping(around.ask(address)) if address else {}
    task = mapping(around.ask(f"{address}/task")) if address else {}
    launch = short(task.get("LaunchType") or container.get("LaunchType")).upper()
    launch = launch if launch in _ORIGINS else runtime.removeprefix("AWS_ECS_")
    task_arn = short(task.get("TaskARN"))
    container_arn = short(container.get("ContainerARN"))
    region, account = arn_parts(task_arn or container_arn)
    attributes: dict[str, Any] = {
        "cloud.platform": "aws_ecs",
        "cloud.region": region,
        "cloud.account.id": account,
        "cloud.availability_zone": short(task.get("AvailabilityZone")),
        "cloud.resource_id": container_arn,
        "container.name": short(container.get("DockerName") or container.get("Name")),
        "container.id": short(container.get("DockerId")),
        "aws.ecs.container.arn": container_arn,
        "aws.ecs.task.arn": task_arn,
        "aws.ecs.task.family": short(task.get("Family")),
        "aws.ecs.task.revision": short(task.get("Revision")),
        "aws.ecs.cluster.arn": _cluster_arn(short(task.get("Cluster")), task_arn),
        "aws.ecs.launchtype": launch.lower() if launch in _ORIGINS else "",
    }
    options = container.get("LogOptions")
    if isinstance(options, dict) and options.get("awslogs-group"):
        attributes["aws.log.group.names"] = [short(options["awslogs-group"])]
    return Place(_ORIGINS.get(launch, "AWS::ECS::Container"), attributes)


def _cluster_arn(cluster: str, task_arn: str) -> str:
    """The metadata gives an ARN on Fargate and a name on EC2."""
    if not cluster or cluster.startswith("arn:"):
        return cluster
    base, separator, _ = task_arn.partition(":task/")
    return f"{base}:cluster/{cluster}" if separator else cluster
