"""Elastic Beanstalk: a file that it writes where X-Ray is switched on for the environment."""

from __future__ import annotations

from fluoro.detection.surroundings import Place, Surroundings, mapping, short

CONFIGURATION = "/var/elasticbeanstalk/xray/environment.conf"


def detect(around: Surroundings, named: bool) -> Place | None:  # noqa: ARG001
    found = mapping(around.text(CONFIGURATION))
    if not found:
        return None
    return Place(
        "AWS::ElasticBeanstalk::Environment",
        {
            "cloud.platform": "aws_elastic_beanstalk",
            "service.namespace": short(found.get("environment_name")),
            "service.instance.id": short(found.get("deployment_id")),
            "service.version": short(found.get("version_label")),
        },
    )
