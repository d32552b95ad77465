from __future__ import annotations

from typing import Any

from django.apps import AppConfig

from fluoro.compat.aws_xray_sdk.core import patch, xray_recorder
from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import SegmentNameMissingException
from fluoro.compat.aws_xray_sdk.core.patcher import enable
from fluoro.compat.aws_xray_sdk.ext._templates import record_rendering
from fluoro.compat.aws_xray_sdk.ext.django.conf import settings

# Django's `vendor` → the drivers that may be behind it.
_DRIVERS = {
    "sqlite": ("sqlite3",),
    "postgresql": ("psycopg", "psycopg2"),
    "mysql": ("mysqlclient", "mysql-connector", "pymysql"),
}


class XRayConfig(AppConfig):  # type: ignore[misc]  # Django publishes no types
    name = "fluoro.compat.aws_xray_sdk.ext.django"

    def ready(self) -> None:
        """Configure the recorder and patch. Raises SegmentNameMissingException without AWS_XRAY_TRACING_NAME."""
        if not settings.AWS_XRAY_TRACING_NAME:
            raise SegmentNameMissingException("Segment name is required.")
        xray_recorder.configure(
            daemon_address=settings.AWS_XRAY_DAEMON_ADDRESS,
            sampling=settings.SAMPLING,
            sampling_rules=settings.SAMPLING_RULES,
            sampler=settings.SAMPLER,
            context_missing=settings.AWS_XRAY_CONTEXT_MISSING,
            plugins=settings.PLUGINS,
            service=settings.AWS_XRAY_TRACING_NAME,
            dynamic_naming=settings.DYNAMIC_NAMING,
            streaming_threshold=settings.STREAMING_THRESHOLD,
            max_trace_back=settings.MAX_TRACE_BACK,
            stream_sql=settings.STREAM_SQL,
        )
        if settings.PATCH_MODULES:
            patch(settings.PATCH_MODULES, ignore_module_patterns=settings.IGNORE_MODULE_PATTERNS)
        if settings.AUTO_INSTRUMENT:
            _instrument()


def _instrument() -> None:
    from django.db import connections
    from django.template import Template

    enable({driver for connection in connections.all() for driver in _DRIVERS.get(connection.vendor, ())} | {"django"})
    record_rendering(Template, "render", _name)


def _name(template: Any, context: Any, *_: Any) -> object:
    return template.name or getattr(context, "template_name", None)
