"""Every error that fluoro raises on purpose.

FluoroError
├── SettingsError     a setting is wrong; raised at start-up, says what to write instead
├── MissingExtra      a command needs an optional dependency; says the pip line
├── ContextMissing    an annotation has no span to go to; only with FLUORO_CONTEXT_MISSING=RUNTIME_ERROR
└── WireError         bytes that are not what their door expects; never raised in a user's process
"""

from __future__ import annotations


class FluoroError(Exception):
    """Base of all errors raised by fluoro itself."""


class SettingsError(FluoroError):
    """A setting has a value that cannot work. The message names the setting and gives a value that does."""


class MissingExtra(FluoroError):
    """A command needs packages that `pip install fluoro` alone does not bring."""

    def __init__(self, command: str, extra: str) -> None:
        super().__init__(
            f"`fluoro {command}` needs the extra '{extra}'. Install it with:\n\n    pip install 'fluoro[{extra}]'\n"
        )


class ContextMissing(FluoroError):
    """`fluoro.annotate` or `fluoro.metadata` was called outside of any span, and FLUORO_CONTEXT_MISSING asks for an error."""


class WireError(FluoroError):
    """Input that cannot be decoded at all; the message says where and why, without quoting the payload."""
