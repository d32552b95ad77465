from __future__ import annotations

from collections.abc import Iterable

from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import MissingPluginNames

PLUGIN_MAPPING = {"elasticbeanstalkplugin": "beanstalk", "ec2plugin": "ec2", "ecsplugin": "ecs"}


def detectors(plugins: Iterable[str]) -> str:
    """The plugins as FLUORO_DETECTORS takes them. Raises ModuleNotFoundError for an unknown one, as an import would."""
    found = []
    for plugin in plugins:
        name = plugin.lower().replace("_", "")
        if name not in PLUGIN_MAPPING:
            raise ModuleNotFoundError(
                f"No plugin named {plugin!r}; there are EC2Plugin, ECSPlugin, ElasticBeanstalkPlugin"
            )
        found.append(PLUGIN_MAPPING[name])
    if not found:
        raise MissingPluginNames("input plugin names are required")
    return ",".join(found)
