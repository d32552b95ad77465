from __future__ import annotations

from typing import Any

from fluoro.compat.aws_xray_sdk.core.daemon_config import DaemonConfig

PROTOCOL_HEADER = '{"format":"json","version":1}'
PROTOCOL_DELIMITER = "\n"
DEFAULT_DAEMON_ADDRESS = "127.0.0.1:2000"


class UDPEmitter:
    """Names the daemon; what sends is fluoro's sender. As the recorder's emitter it is the default."""

    def __init__(self, daemon_address: str = DEFAULT_DAEMON_ADDRESS) -> None:
        self._ip, self._port = "", 0
        self.set_daemon_address(daemon_address)

    def set_daemon_address(self, address: str | None) -> None:
        if address:
            daemon = DaemonConfig(address)
            self._ip, self._port = daemon.udp_ip, daemon.udp_port

    def send_entity(self, entity: Any) -> None:
        """End `entity` if it is open: an entity is sent when it ends."""
        if entity.in_progress:
            entity.close()

    @property
    def ip(self) -> str:
        return self._ip

    @property
    def port(self) -> int:
        return self._port
