"""Flask-SQLAlchemy: its statements are recorded by fluoro's instrumentation of SQLAlchemy, switched on by this."""

from __future__ import annotations

from typing import Any

from flask_sqlalchemy import SQLAlchemy

from fluoro.compat.aws_xray_sdk.core.patcher import enable


class XRayFlaskSqlAlchemy(SQLAlchemy):  # type: ignore[misc]  # it publishes no types that are always installed
    """Takes what `SQLAlchemy` of the installed Flask-SQLAlchemy takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        enable(["sqlalchemy"])
        super().__init__(*args, **kwargs)
