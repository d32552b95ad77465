"""Every setting of the SDK, read from the environment once.

`FLUORO_*` wins over the variables that OpenTelemetry and the AWS X-Ray SDK define for the same thing. A `FLUORO_*` value
that cannot work raises SettingsError; the other tools' variables are taken when they make sense and ignored otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from fluoro.errors import SettingsError
from fluoro.switch import is_enabled, names

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint` is the collector's base URL. `disabled` names the instrumentations not to patch. `sample_rate` is the
    share of traces recorded, 0 to 1, of those that nobody upstream decided on. `attributes` goes into the resource.
    """

    service_name: str
    service_version: str = ""
    environment: str = ""
    endpoint: str = DEFAULT_ENDPOINT
    enabled: bool = True
    disabled: frozenset[str] = frozenset()
    sample_rate: float = 1.0
    attributes: dict[str, str] = {}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the process's environment, or `environ`."""
        env = os.environ if environ is None else environ
        attributes = _resource_attributes(env.get("OTEL_RESOURCE_ATTRIBUTES", ""))
        described_as = attributes.pop("service.name", "")
        version = attributes.pop("service.version", "")
        older = attributes.pop("deployment.environment", "")
        environment = attributes.pop("deployment.environment.name", older)
        return cls(
            service_name=_first(env, "FLUORO_SERVICE_NAME", "AWS_XRAY_TRACING_NAME", "OTEL_SERVICE_NAME")
            or described_as
            or program_name(sys.argv),
            service_version=_first(env, "FLUORO_SERVICE_VERSION") or version,
            environment=_first(env, "FLUORO_ENVIRONMENT") or environment,
            endpoint=check_endpoint(_first(env, "FLUORO_ENDPOINT") or DEFAULT_ENDPOINT),
            enabled=is_enabled(env),
            disabled=names(env.get("FLUORO_DISABLE", "")),
            sample_rate=_sample_rate(env),
            attributes=attributes,
        )


def program_name(argv: list[str]) -> str:
    """A service name when none is set: the application a server was told to serve, the script, or the package.

    `uvicorn shop.orders:app` → "shop.orders", `python app.py` → "app", `python -m shop` → "shop".
    """
    for argument in argv[1:]:
        module, separator, attribute = argument.partition(":")
        if separator and attribute.isidentifier() and all(part.isidentifier() for part in module.split(".")):
            return module
    path = argv[0] if argv else ""
    directory, name = os.path.split(path)
    stem = name.removesuffix(".py")
    if stem == "__main__":
        stem = os.path.basename(directory)  # noqa: PTH119  pathlib would be imported for this alone
    return stem if stem not in ("", "-c", "-m") else "python"


def check_endpoint(endpoint: str) -> str:
    """`endpoint` without a trailing slash. SettingsError says what works."""
    works = "write http://HOST:PORT, for example http://127.0.0.1:4318"
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"FLUORO_ENDPOINT is {endpoint!r} ({error}); {works}") from None
    if parts.scheme != "http":
        named = f"the scheme {parts.scheme!r}" if "://" in endpoint else "no scheme"
        raise SettingsError(f"FLUORO_ENDPOINT is {endpoint!r}, with {named}; {works}")
    if not parts.hostname or port == 0 or parts.query or parts.fragment or parts.username is not None:
        raise SettingsError(f"FLUORO_ENDPOINT is {endpoint!r}; {works}")
    return endpoint.rstrip("/")


def _first(env: Mapping[str, str], *variables: str) -> str:
    for variable in variables:
        value = env.get(variable, "").strip()
        if value:
            return value
    return ""


def _sample_rate(env: Mapping[str, str]) -> float:
    text = _first(env, "FLUORO_SAMPLE_RATE")
    if text:
        rate = _number(text)
        if rate is None or not 0 <= rate <= 1:
            raise SettingsError(
                f"FLUORO_SAMPLE_RATE is {text!r}; write the share of traces to record, from 0 to 1: 0.1"
            )
        return rate
    sampler = _first(env, "OTEL_TRACES_SAMPLER").removeprefix("parentbased_")
    if sampler == "always_off":
        return 0.0
    if sampler == "traceidratio":
        rate = _number(_first(env, "OTEL_TRACES_SAMPLER_ARG"))
        return rate if rate is not None and 0 <= rate <= 1 else 1.0
    return 1.0


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _resource_attributes(text: str) -> dict[str, str]:
    """`key=value,key=value`, values percent-encoded; an item without "=" is left out."""
    attributes = {}
    for item in text.split(","):
        key, separator, value = item.partition("=")
        if separator and key.strip():
            attributes[key.strip()] = unquote(value.strip())
    return attributes
