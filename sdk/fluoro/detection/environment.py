"""Places that say all they know in environment variables."""

from __future__ import annotations

from typing import Any

from fluoro.detection.surroundings import Place, Surroundings, arn_parts


def function(around: Surroundings, named: bool) -> Place | None:  # noqa: ARG001  the signature of every detector
    """Lambda. The ARN is known only in an invocation, from its context."""
    get = around.variable
    name = get("AWS_LAMBDA_FUNCTION_NAME")
    if not name:
        return None
    memory = get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    attributes: dict[str, Any] = {
        "cloud.platform": "aws_lambda",
        "faas.name": name,
        "faas.version": get("AWS_LAMBDA_FUNCTION_VERSION"),
        "faas.instance": get("AWS_LAMBDA_LOG_STREAM_NAME"),
        "faas.max_memory": int(memory) * 1024 * 1024 if memory.isdigit() else "",
    }
    group = get("AWS_LAMBDA_LOG_GROUP_NAME")
    if group:
        attributes["aws.log.group.names"] = [group]
    return Place("AWS::Lambda::Function", attributes)


def app_runner(around: Surroundings, named: bool) -> Place | None:  # noqa: ARG001
    """App Runner gives its containers nothing to know it by: only when it is named."""
    return Place("AWS::AppRunner::Service", {"cloud.platform": "aws_app_runner"}) if named else None


def batch_job(around: Surroundings, named: bool) -> Place | None:  # noqa: ARG001
    """AWS Batch; the container below it is found by `ecs` or `eks`."""
    get = around.variable
    job = get("AWS_BATCH_JOB_ID")
    if not job:
        return None
    return Place(
        "",
        {
            "aws.batch.job.id": job,
            "aws.batch.job.queue": get("AWS_BATCH_JQ_NAME"),
            "aws.batch.compute_environment": get("AWS_BATCH_CE_NAME"),
            "aws.batch.job.attempt": get("AWS_BATCH_JOB_ATTEMPT"),
            "aws.batch.job.array_index": get("AWS_BATCH_JOB_ARRAY_INDEX"),
        },
    )


def build(around: Surroundings, named: bool) -> Place | None:  # noqa: ARG001
    """CodeBuild. X-Ray has no origin for it."""
    get = around.variable
    identity = get("CODEBUILD_BUILD_ID")
    if not identity:
        return None
    arn = get("CODEBUILD_BUILD_ARN")
    region, account = arn_parts(arn)
    return Place(
        "",
        {
            "cicd.pipeline.name": identity.partition(":")[0],
            "cicd.pipeline.run.id": identity,
            "cloud.resource_id": arn,
            "cloud.region": region,
            "cloud.account.id": account,
            "vcs.ref.head.revision": get("CODEBUILD_RESOLVED_SOURCE_VERSION"),
        },
    )
