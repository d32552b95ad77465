"""Take the ports before anything else is opened, so that a port that is taken leaves nothing behind."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from fluoro.errors import SettingsError
from fluoro_collector.receivers.grpc import GrpcDoor
from fluoro_collector.settings import Settings, flag

BACKLOG = 1024


@dataclass
class Ports:
    """Bound sockets of all doors. gRPC listens on a socket of its own; until then `grpc` holds its port for it."""

    http: socket.socket
    grpc: socket.socket
    xray_tcp: socket.socket
    xray_udp: socket.socket

    def close(self) -> None:
        for each in (self.http, self.grpc, self.xray_tcp, self.xray_udp):
            each.close()

    def hand_over_grpc(self, door: GrpcDoor) -> str:
        """Give `grpc`'s port to `door`; its address. Raises SettingsError if another process was faster."""
        at = address(self.grpc)
        port = self.grpc.getsockname()[1]
        self.grpc.close()
        try:
            door.bind(at)
        except RuntimeError:
            raise _taken("gRPC", "TCP", port, "grpc_port") from None
        return at


def bind(settings: Settings) -> Ports:
    """Bind every door's port, TCP ones listening. Raises SettingsError that names the door, the port and the flag."""
    taken: list[socket.socket] = []

    def take(door: str, port: int, name: str, kind: socket.SocketKind) -> socket.socket:
        bound = _bind(settings.host, door, port, name, kind)
        taken.append(bound)
        return bound

    try:
        http = take("HTTP", settings.http_port, "http_port", socket.SOCK_STREAM)
        grpc = take("gRPC", settings.grpc_port, "grpc_port", socket.SOCK_STREAM)
        xray_tcp = take("X-Ray", settings.xray_port, "xray_port", socket.SOCK_STREAM)
        # X-Ray SDKs are told one address for both, so a free port is the one that TCP got.
        xray_udp = take("X-Ray", xray_tcp.getsockname()[1], "xray_port", socket.SOCK_DGRAM)
        http.listen(BACKLOG)
        xray_tcp.listen(BACKLOG)
    except BaseException:
        for bound in taken:
            bound.close()
        raise
    return Ports(http, grpc, xray_tcp, xray_udp)


def address(bound: socket.socket) -> str:
    """`host:port` as people and gRPC write it, `[::1]:4317` for IPv6."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bind(host: str, door: str, port: int, name: str, kind: socket.SocketKind) -> socket.socket:
    family, _, _, _, target = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    bound = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            # A restart need not wait for old connections to leave TIME_WAIT. Never on UDP: two could share the port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(target)
    except OSError as error:
        bound.close()
        protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
        if error.errno == errno.EADDRINUSE:
            raise _taken(door, protocol, port, name) from None
        raise SettingsError(
            f"cannot open the {door} door on {host} port {port} ({protocol}): {error.strerror}; "
            f"choose another with {flag(name)} or --host"
        ) from None
    return bound


def _taken(door: str, protocol: str, port: int, name: str) -> SettingsError:
    return SettingsError(
        f"port {port} ({protocol}) of the {door} door is taken by another process; "
        f"stop that one, or choose another port with {flag(name)}"
    )
