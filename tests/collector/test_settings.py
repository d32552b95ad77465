from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from fluoro.errors import SettingsError
from fluoro_collector.settings import Settings, load, variable


def test_the_defaults_listen_on_loopback_only() -> None:
    settings = load({}, {})
    assert settings == Settings()
    assert settings.host == "127.0.0.1"
    assert (settings.http_port, settings.grpc_port, settings.xray_port) == (4318, 4317, 2000)
    assert settings.max_request_bytes == 64 * 1024 * 1024


def test_a_flag_beats_a_variable_and_a_variable_the_default() -> None:
    environ = {"FLUORO_HTTP_PORT": "5318", "FLUORO_GRPC_PORT": "5317", "FLUORO_DATA": "/data", "FLUORO_STORE": ""}
    settings = load({"http_port": "6318", "grpc_port": None, "other": 1}, environ)
    assert (settings.http_port, settings.grpc_port, settings.data) == (6318, 5317, Path("/data"))


@pytest.mark.parametrize("each", fields(Settings), ids=lambda each: each.name)
def test_every_setting_has_a_variable_and_a_help_text(each) -> None:
    text = {bool: "true", int: "65", float: "2.5", str: ""}.get(type(each.default), "/somewhere")
    if each.name == "host":
        text = "::1"
    if each.name == "store":
        text = "clickhouse://127.0.0.1:9000/fluoro"
    if each.name.startswith("retention"):
        text = "90d"
    environ = {"FLUORO_MAX_BUFFER_MB": "65", "FLUORO_INSECURE": "true", variable(each.name): text}
    changed = getattr(load({}, environ), each.name)
    assert str(changed).lower() == text
    assert type(changed) is type(each.default) or isinstance(changed, Path)
    assert each.metadata["help"]


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"FLUORO_HTTP_PORT": "http"}, "FLUORO_HTTP_PORT is 'http'; write a number, as in 4318"),
        ({"FLUORO_HTTP_PORT": "70000"}, "--http-port is 70000"),
        ({"FLUORO_HTTP_PORT": "4317"}, "two doors share a port"),
        ({"FLUORO_MAX_REQUEST_MB": "0"}, "--max-request-mb is 0"),
        ({"FLUORO_MAX_BUFFER_MB": "8"}, "write at least 64"),
        ({"FLUORO_ROLLUP_INTERVAL": "0"}, "--rollup-interval is 0.0"),
        ({"FLUORO_STOP_TIMEOUT": "nan"}, "--stop-timeout is nan"),
        ({"FLUORO_STORE": "postgres://secret@db"}, "--store must start with clickhouse://"),
        ({"FLUORO_RETENTION": "0d"}, "--retention is '0d'; write days or weeks, as in 30d or 8w, or forever"),
        ({"FLUORO_RETENTION": "12h"}, "--retention is '12h'; write days or weeks, as in 30d or 8w, or forever"),
        ({"FLUORO_RETENTION_ERRORS": "7d"}, "--retention-errors is 7d, shorter than --retention 30d"),
        ({"FLUORO_INSECURE": "maybe"}, "write true or false"),
        ({"FLUORO_HOST": "no.such.host.invalid"}, "is not an address of this machine"),
    ],
)
def test_a_wrong_setting_says_what_to_write(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({}, environ)
    assert says in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", ""])
def test_a_host_that_others_can_reach_needs_to_be_meant(host: str) -> None:
    with pytest.raises(SettingsError, match="neither tokens nor TLS"):
        load({"host": host}, {})
    assert load({"host": host, "insecure": True}, {}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert load({"host": host}, {}).host == host
