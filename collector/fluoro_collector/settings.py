"""Every setting of the collector: one frozen dataclass, a flag and an environment variable for each field."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from fluoro.errors import SettingsError
from fluoro_collector import keep

MEBIBYTE = 1 << 20
DOOR_PORTS = ("http_port", "grpc_port", "xray_port")


def _setting(default: Any, text: str, metavar: str = "") -> Any:
    return field(default=default, metadata={"help": text, "metavar": metavar})


@dataclass(frozen=True)
class Settings:
    """A flag is the field's name with dashes (`--http-port`), its variable FLUORO_HTTP_PORT; a flag wins."""

    data: Path = _setting(Path("fluoro-data"), "directory of the embedded ClickHouse; made when missing", "DIR")  # noqa: RUF009 - a frozen default
    store: str = _setting(
        "",
        "a ClickHouse server instead of the embedded one: clickhouse://user:password@host:9000/database; "
        "more hosts after commas, ?cluster=NAME for replicated tables",
        "URL",
    )
    host: str = _setting("127.0.0.1", "address all doors listen on", "ADDRESS")
    http_port: int = _setting(
        4318, "OTLP over HTTP, native batches, X-Ray API, dashboard API; 0 takes a free one", "PORT"
    )
    grpc_port: int = _setting(4317, "OTLP and native batches over gRPC; 0 takes a free one", "PORT")
    xray_port: int = _setting(2000, "X-Ray daemon protocol (UDP) and X-Ray API (TCP); 0 takes a free one", "PORT")
    insecure: bool = _setting(False, "allow a --host that other machines can reach, without authentication")
    allowed_hosts: str = _setting(
        "", "names under which a proxy is reached, separated by commas; others in a Host header are refused", "NAMES"
    )
    max_request_mb: int = _setting(64, "largest request in MiB, measured after decompression", "MIB")
    max_buffer_mb: int = _setting(64, "what may wait for a commit, in MiB; more is answered 503", "MIB")
    retention: str = _setting("30d", "how long traces are kept: days or weeks as in 30d, 8w; or forever", "TIME")
    retention_errors: str = _setting(
        "", "how long traces with an error or fault are kept; as long as the others unless given", "TIME"
    )
    rollup_interval: float = _setting(30.0, "seconds between updates of the rolled-up minutes", "SECONDS")
    stop_timeout: float = _setting(10.0, "seconds a stop may take until it is cut short", "SECONDS")

    def __post_init__(self) -> None:
        for name in DOOR_PORTS:
            port = getattr(self, name)
            if not 0 <= port <= 65535:
                raise SettingsError(f"{flag(name)} is {port}; a port is 0 (any free one) to 65535")
        used = [getattr(self, name) for name in DOOR_PORTS if getattr(self, name)]
        if len(set(used)) != len(used):
            raise SettingsError(
                f"two doors share a port (HTTP {self.http_port}, gRPC {self.grpc_port}, X-Ray {self.xray_port}); "
                "give each its own with --http-port, --grpc-port, --xray-port"
            )
        if self.max_request_mb < 1:
            raise SettingsError(f"--max-request-mb is {self.max_request_mb}; write a whole number from 1")
        if self.max_buffer_mb < self.max_request_mb:
            raise SettingsError(
                f"--max-buffer-mb is {self.max_buffer_mb}, less than one request may have "
                f"(--max-request-mb {self.max_request_mb}); write at least {self.max_request_mb}"
            )
        for name in ("rollup_interval", "stop_timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"{flag(name)} is {getattr(self, name)}; write a number of seconds above 0")
        for name in ("retention", "retention_errors"):
            text = getattr(self, name)
            try:
                keep.days(text or "0")
            except ValueError as error:
                raise SettingsError(f"{flag(name)} is {text!r}; {error}") from None
        if 0 < self.retention_error_days < self.retention_days or (
            self.retention_error_days and not self.retention_days
        ):
            raise SettingsError(
                f"--retention-errors is {self.retention_errors}, shorter than --retention {self.retention}; "
                "errors are kept at least as long as the rest"
            )
        if self.store and not self.store.startswith(("clickhouse://", "clickhouses://")):
            raise SettingsError(
                "--store must start with clickhouse://, as in "
                "clickhouse://default:@127.0.0.1:9000/fluoro; leave it out for the embedded engine in --data"
            )
        if not self.insecure and not _is_loopback(self.host):
            raise SettingsError(
                f"--host {self.host} can be reached from other machines, and this version has neither tokens nor TLS: "
                "anyone there could read and write traces. Keep --host 127.0.0.1 (and put an authenticating proxy in "
                "front), or add --insecure if this network is yours alone"
            )

    @property
    def hosts(self) -> list[str] | None:
        """Further names that a Host header may hold; None = any, for doors that are open to other machines."""
        names = [name.strip() for name in self.allowed_hosts.split(",") if name.strip()]
        return None if not names and not _is_loopback(self.host) else names

    @property
    def retention_days(self) -> int:
        """0 = for ever."""
        return keep.days(self.retention)

    @property
    def retention_error_days(self) -> int:
        """0 = for ever; as long as the others unless it was set."""
        return keep.days(self.retention_errors) if self.retention_errors else self.retention_days

    @property
    def max_request_bytes(self) -> int:
        return self.max_request_mb * MEBIBYTE

    @property
    def max_buffer_bytes(self) -> int:
        return self.max_buffer_mb * MEBIBYTE


def flag(name: str) -> str:
    """`http_port` → `--http-port`."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """`http_port` → `FLUORO_HTTP_PORT`."""
    return "FLUORO_" + name.upper()


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `flags` (None = not given), then `environ`, then defaults. Raises SettingsError."""
    values: dict[str, Any] = {}
    for each in fields(Settings):
        given = flags.get(each.name)
        if given is not None:
            values[each.name] = _convert(each, given, flag(each.name))
        elif (text := environ.get(variable(each.name), "")) != "":
            values[each.name] = _convert(each, text, variable(each.name))
    return Settings(**values)


def _convert(each: Field[Any], value: Any, source: str) -> Any:
    kind: type[Any] = type(each.default)
    if not isinstance(value, str):
        return Path(value) if issubclass(kind, Path) else value
    if kind is bool:
        lowered = value.strip().lower()
        if lowered not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
            raise SettingsError(f"{source} is {value!r}; write true or false")
        return lowered in {"1", "true", "yes", "on"}
    try:
        return Path(value) if issubclass(kind, Path) else kind(value)
    except ValueError:
        raise SettingsError(f"{source} is {value!r}; write a number, as in {each.default}") from None


def _is_loopback(host: str) -> bool:
    """Whether every address of `host` is one only this machine can reach. Raises SettingsError when it has none."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host or None, None)} if host else {"0.0.0.0"}
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"--host {host!r} is not an address of this machine ({error}); write 127.0.0.1") from None
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)
