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
LOG_ERROR, IGNORE_ERROR, RUNTIME_ERROR = CONTEXT_MISSING = ("LOG_ERROR", "IGNORE_ERROR", "RUNTIME_ERROR")
DETECTORS = ("lambda", "beanstalk", "ecs", "eks", "batch", "codebuild", "apprunner", "ec2")
_ENDPOINTS = "write http://HOST:PORT, grpc://HOST:PORT or udp://HOST:PORT, for example http://127.0.0.1:4318"
_XRAY_PORT = 2000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint` is the collector's base URL. `disabled` names the instrumentations not to patch. `sample_rate` is the
    share of traces recorded, 0 to 1, of those that nobody upstream and no rule decided on. `attributes` goes into the
    resource.

    `sampling_endpoint` serves X-Ray's sampling operations; "" asks nobody. `sampling_rules` are local rules, as JSON or
    the path of a file. `dynamic_naming` is a pattern (`*`, `?`): a request whose Host fits is a segment of that name.
    `context_missing` is what an annotation outside of any span does. `detectors` are those of the places we may run in
    that are looked for; one named on its own is not asked whether we are there.
    """

    service_name: str
    service_version: str = ""
    environment: str = ""
    endpoint: str = DEFAULT_ENDPOINT
    enabled: bool = True
    disabled: frozenset[str] = frozenset()
    sample_rate: float = 1.0
    attributes: dict[str, str] = {}
    sampling_endpoint: str = ""
    sampling_rules: str = ""
    dynamic_naming: str = ""
    context_missing: str = IGNORE_ERROR
    detectors: frozenset[str] = frozenset({"all"})

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the process's environment, or `environ`."""
        env = os.environ if environ is None else environ
        attributes = _resource_attributes(env.get("OTEL_RESOURCE_ATTRIBUTES", ""))
        described_as = attributes.pop("service.name", "")
        version = attributes.pop("service.version", "")
        older = attributes.pop("deployment.environment", "")
        environment = attributes.pop("deployment.environment.name", older)
        endpoint, daemon_tcp = _endpoint(env)
        rate = _sample_rate(env)
        rules = _first(env, "FLUORO_SAMPLING_RULES")
        if rules and _first(env, "FLUORO_SAMPLE_RATE"):
            raise SettingsError("FLUORO_SAMPLE_RATE and FLUORO_SAMPLING_RULES both say what to record; set one of them")
        return cls(
            service_name=_first(env, "FLUORO_SERVICE_NAME", "AWS_XRAY_TRACING_NAME", "OTEL_SERVICE_NAME")
            or described_as
            or _first(env, "AWS_LAMBDA_FUNCTION_NAME")
            or program_name(sys.argv),
            service_version=_first(env, "FLUORO_SERVICE_VERSION") or version,
            environment=_first(env, "FLUORO_ENVIRONMENT") or environment,
            endpoint=endpoint,
            enabled=is_enabled(env),
            disabled=names(env.get("FLUORO_DISABLE", "")),
            sample_rate=1.0 if rate is None else rate,
            attributes=attributes,
            sampling_endpoint=_sampling_endpoint(env, endpoint, daemon_tcp, asked=rate is None),
            sampling_rules=rules,
            dynamic_naming=_first(env, "FLUORO_DYNAMIC_NAMING"),
            context_missing=_context_missing(env),
            detectors=_detectors(env),
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


def check_endpoint(endpoint: str, variable: str = "FLUORO_ENDPOINT", works: str = _ENDPOINTS) -> str:
    """`endpoint` without a trailing slash. SettingsError says what works."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{variable} is {endpoint!r} ({error}); {works}") from None
    if not parts.scheme or f"{parts.scheme}://HOST" not in works:
        named = f"the scheme {parts.scheme!r}" if "://" in endpoint else "no scheme"
        raise SettingsError(f"{variable} is {endpoint!r}, with {named}; {works}")
    if not parts.hostname or port == 0 or parts.query or parts.fragment or parts.username is not None:
        raise SettingsError(f"{variable} is {endpoint!r}; {works}")
    if parts.scheme != "http" and parts.path.strip("/"):
        raise SettingsError(f"{variable} is {endpoint!r}, and {parts.scheme} has no path; {works}")
    return endpoint.rstrip("/")


def daemon_addresses(text: str) -> tuple[str, str] | None:
    """AWS_XRAY_DAEMON_ADDRESS as (UDP, TCP) `host:port`: one address for both, or `tcp:host:port udp:host:port` in any
    order. None if it is neither.
    """
    found = {}
    for item in text.split():
        protocol, _, address = item.partition(":")
        if protocol in ("udp", "tcp") and address.count(":") == 1:
            found[protocol] = address
        else:
            found["udp"] = found["tcp"] = item
    for address in found.values():
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            return None
    return (found["udp"], found["tcp"]) if len(found) == 2 else None


def _endpoint(env: Mapping[str, str]) -> tuple[str, str]:
    """Where to send, and the daemon's TCP address when a daemon was named."""
    own = _first(env, "FLUORO_ENDPOINT")
    if own:
        return check_endpoint(own), ""
    named = _first(env, "AWS_XRAY_DAEMON_ADDRESS")
    addresses = daemon_addresses(named) if named else None
    if addresses is None:
        return DEFAULT_ENDPOINT, ""
    udp, tcp = addresses
    return f"udp://{udp}", tcp


def _sampling_endpoint(env: Mapping[str, str], endpoint: str, daemon_tcp: str, *, asked: bool) -> str:
    """Who is asked for rules. A rate that somebody has set here is not overruled by a service, unless one is named."""
    own = _first(env, "FLUORO_SAMPLING_ENDPOINT")
    if own:
        if own.lower() == "none":
            return ""
        works = "write http://HOST:PORT of a collector or an X-Ray daemon, or none"
        return check_endpoint(own, "FLUORO_SAMPLING_ENDPOINT", works)
    if not asked:
        return ""
    if daemon_tcp:
        return f"http://{daemon_tcp}"
    parts = urlsplit(endpoint)
    match parts.scheme:
        case "http":
            return endpoint
        case "udp":  # a daemon listens on the same number
            return f"http://{parts.netloc if parts.port else f'{parts.netloc}:{_XRAY_PORT}'}"
        case _ if parts.port in (None, 4317):  # our collector's ports come in pairs
            return f"http://{parts.netloc.removesuffix(':4317')}:4318"
    return ""


def _context_missing(env: Mapping[str, str]) -> str:
    own = _first(env, "FLUORO_CONTEXT_MISSING").upper()
    if own and own not in CONTEXT_MISSING:
        raise SettingsError(f"FLUORO_CONTEXT_MISSING is {own!r}; write {', '.join(CONTEXT_MISSING)}")
    other = _first(env, "AWS_XRAY_CONTEXT_MISSING").upper()
    return own or (other if other in CONTEXT_MISSING else IGNORE_ERROR)


def _detectors(env: Mapping[str, str]) -> frozenset[str]:
    own = names(env.get("FLUORO_DETECTORS", ""))
    if own == {"none"}:
        return frozenset()
    unknown = own - {*DETECTORS, "all"}
    if unknown:
        raise SettingsError(
            f"FLUORO_DETECTORS has {', '.join(sorted(unknown))}; write all, none, or some of {','.join(DETECTORS)}"
        )
    return own or frozenset({"all"})


def _first(env: Mapping[str, str], *variables: str) -> str:
    for variable in variables:
        value = env.get(variable, "").strip()
        if value:
            return value
    return ""


def _sample_rate(env: Mapping[str, str]) -> float | None:
    """None when nobody set one."""
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
        return rate if rate is not None and 0 <= rate <= 1 else None
    return None


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
