"""What the launcher tells the pages: the collector's address, through the environment of this process."""

from __future__ import annotations

import os

API_VARIABLE = "FLUORO_DASHBOARD_API"
DEFAULT_API = "http://127.0.0.1:4318"


def api_url() -> str:
    return os.environ.get(API_VARIABLE, DEFAULT_API).rstrip("/")
