from __future__ import annotations

import os

from fluoro.compat.aws_xray_sdk.core.exceptions.exceptions import InvalidDaemonAddressException
from fluoro.settings import daemon_addresses

DAEMON_ADDRESS_KEY = "AWS_XRAY_DAEMON_ADDRESS"
DEFAULT_ADDRESS = "127.0.0.1:2000"


class DaemonConfig:
    """`host:port`, or `tcp:host:port udp:host:port`; AWS_XRAY_DAEMON_ADDRESS wins."""

    def __init__(self, daemon_address: str | None = DEFAULT_ADDRESS) -> None:
        address = os.environ.get(DAEMON_ADDRESS_KEY) or daemon_address or DEFAULT_ADDRESS
        found = daemon_addresses(address)
        if found is None:
            raise InvalidDaemonAddressException(f"Invalid daemon address {address} specified.")
        (self._udp_ip, udp_port), (self._tcp_ip, tcp_port) = (each.rsplit(":", 1) for each in found)
        self._udp_port, self._tcp_port = int(udp_port), int(tcp_port)

    @property
    def udp_ip(self) -> str:
        return self._udp_ip

    @property
    def udp_port(self) -> int:
        return self._udp_port

    @property
    def tcp_ip(self) -> str:
        return self._tcp_ip

    @property
    def tcp_port(self) -> int:
        return self._tcp_port
