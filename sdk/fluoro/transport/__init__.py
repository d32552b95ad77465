"""Ways to a collector, by the scheme of its endpoint. Each turns segments into what it carries, and sends that.

    http   native batches to our collector (the default; the standard library's client)
    grpc   the same over gRPC; needs the extra `grpc`
    udp    X-Ray segment documents to any X-Ray daemon, the CloudWatch agent, or our collector's X-Ray door

Nothing is opened before the first batch, in the sender's thread: a forked child never shares its parent's connection.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fluoro.transport.answer import Encoded, Reply, Transport
from fluoro.transport.http import HttpTransport

__all__ = ["Encoded", "HttpTransport", "Reply", "Transport", "transport_to"]


def transport_to(endpoint: str) -> Transport:
    """The transport for `endpoint`, which `settings.check_endpoint` has let through. Opens nothing. SettingsError when
    what it needs is not installed.
    """
    scheme = urlsplit(endpoint).scheme
    if scheme == "udp":
        from fluoro.transport.udp import UdpTransport

        return UdpTransport(endpoint)
    if scheme == "grpc":
        from fluoro.transport.grpc import GrpcTransport

        return GrpcTransport(endpoint)
    return HttpTransport(endpoint)
