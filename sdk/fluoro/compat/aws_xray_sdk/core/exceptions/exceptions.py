"""The SDK's own exceptions, for code that catches them. Those that fluoro never raises are here for that `except`."""

from __future__ import annotations


class InvalidSamplingManifestError(Exception):
    """Sampling rules that cannot work."""


class SegmentNotFoundException(Exception):
    """There is no open segment, and the strategy for that is RUNTIME_ERROR."""


class InvalidDaemonAddressException(Exception):
    """A daemon address that is neither `host:port` nor `tcp:host:port udp:host:port`."""


class SegmentNameMissingException(Exception):
    """A segment without a name, where no service is configured."""


class SubsegmentNameMissingException(Exception):
    """Never raised."""


class FacadeSegmentMutationException(Exception):
    """The segment is another's (AWS Lambda's, or a caller's); only subsegments can be added to it."""


class MissingPluginNames(Exception):
    """A list of plugins without plugins."""


class AlreadyEndedException(Exception):
    """The entity has ended, and was sent."""
