from __future__ import annotations

import pytest

from fluoro.errors import SettingsError
from fluoro.settings import Settings, daemon_addresses, program_name
from fluoro.switch import is_enabled


def read(**env: str) -> Settings:
    return Settings.from_env(env)


def test_defaults():
    settings = read()
    assert settings.endpoint == "http://127.0.0.1:4318"
    assert settings.service_name
    assert settings.enabled
    assert settings.disabled == frozenset()
    assert settings.sample_rate == 1.0


def test_own_variables():
    settings = read(
        FLUORO_SERVICE_NAME=" orders ",
        FLUORO_SERVICE_VERSION="1.2",
        FLUORO_ENVIRONMENT="prod",
        FLUORO_ENDPOINT="http://collector:4318/",
        FLUORO_DISABLE="requests, SQLite3,",
        FLUORO_SAMPLE_RATE="0.25",
    )
    assert (settings.service_name, settings.service_version, settings.environment) == ("orders", "1.2", "prod")
    assert settings.endpoint == "http://collector:4318"
    assert settings.disabled == {"requests", "sqlite3"}
    assert settings.sample_rate == 0.25


NAMES = {
    "FLUORO_SERVICE_NAME": "a",
    "AWS_XRAY_TRACING_NAME": "b",
    "OTEL_SERVICE_NAME": "c",
    "OTEL_RESOURCE_ATTRIBUTES": "service.name=d%20d",
}


@pytest.mark.parametrize(("skip", "expected"), [(0, "a"), (1, "b"), (2, "c"), (3, "d d")])
def test_who_names_the_service_when_several_do(skip, expected):
    assert read(**dict(list(NAMES.items())[skip:])).service_name == expected


def test_resource_attributes_are_split_and_kept():
    settings = read(
        OTEL_RESOURCE_ATTRIBUTES="service.version=2,deployment.environment=old,deployment.environment.name=new,team=x%2Cy,broken"
    )
    assert (settings.service_version, settings.environment, settings.attributes) == ("2", "new", {"team": "x,y"})
    assert read(OTEL_RESOURCE_ATTRIBUTES="deployment.environment=old").environment == "old"


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("FLUORO_ENABLED", "maybe", "true or false"),
        ("FLUORO_SAMPLE_RATE", "150%", "from 0 to 1"),
        ("FLUORO_SAMPLE_RATE", "1.5", "from 0 to 1"),
        ("FLUORO_SAMPLE_RATE", "nan", "from 0 to 1"),
        ("FLUORO_ENDPOINT", "collector:4318", "http://HOST:PORT"),
        ("FLUORO_ENDPOINT", "127.0.0.1", "http://HOST:PORT"),
        ("FLUORO_ENDPOINT", "https://collector:4317", "http://HOST:PORT"),
        ("FLUORO_ENDPOINT", "udp://collector:2000/path", "udp://HOST:PORT"),
        ("FLUORO_ENDPOINT", "grpc://", "grpc://HOST:PORT"),
        ("FLUORO_SAMPLING_ENDPOINT", "udp://collector:2000", "http://HOST:PORT"),
        ("FLUORO_CONTEXT_MISSING", "explode", "IGNORE_ERROR"),
        ("FLUORO_DETECTORS", "ec2,azure", "all, none"),
        ("FLUORO_ENDPOINT", "http://:4318", "http://HOST:PORT"),
        ("FLUORO_ENDPOINT", "http://host:99999", "http://HOST:PORT"),
        ("FLUORO_ENDPOINT", "http://host:x", "http://HOST:PORT"),
        ("FLUORO_ENDPOINT", "http://[::1", "http://HOST:PORT"),
        ("FLUORO_ENDPOINT", "http://user:pw@host:1", "http://HOST:PORT"),
    ],
)
def test_a_wrong_value_names_its_variable_and_what_works(variable, value, fix):
    with pytest.raises(SettingsError) as caught:
        read(**{variable: value})
    assert variable in str(caught.value)
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    ("env", "enabled"),
    [
        ({}, True),
        ({"FLUORO_ENABLED": "false"}, False),
        ({"FLUORO_ENABLED": "0"}, False),
        ({"FLUORO_ENABLED": "yes"}, True),
        ({"AWS_XRAY_SDK_ENABLED": "False"}, False),
        ({"AWS_XRAY_SDK_ENABLED": "what"}, True),
        ({"OTEL_SDK_DISABLED": "true"}, False),
        ({"FLUORO_ENABLED": "true", "AWS_XRAY_SDK_ENABLED": "false", "OTEL_SDK_DISABLED": "true"}, True),
    ],
)
def test_the_switch(env, enabled):
    assert is_enabled(env) is enabled
    assert read(**env).enabled is enabled


@pytest.mark.parametrize(
    ("env", "rate"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0.0),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, 0.5),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "always_off", "FLUORO_SAMPLE_RATE": "1"}, 1.0),
        ({"OTEL_TRACES_SAMPLER": "xray"}, 1.0),
    ],
)
def test_opentelemetrys_sampler_is_honoured_where_it_makes_sense(env, rate):
    assert read(**env).sample_rate == rate


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["app.py"], "app"),
        (["/srv/shop/worker.py", "--queue", "a"], "worker"),
        (["/venv/bin/uvicorn", "shop.orders:app", "--port", "80"], "shop.orders"),
        (["/venv/bin/gunicorn", "-b", "127.0.0.1:8000", "shop.wsgi:application"], "shop.wsgi"),
        (["/venv/bin/flask", "run"], "flask"),
        (["/site/shop/__main__.py"], "shop"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_program_names_its_service(argv, name):
    assert program_name(argv) == name


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("127.0.0.1:2000", ("127.0.0.1:2000", "127.0.0.1:2000")),
        ("tcp:a:2001 udp:b:2000", ("b:2000", "a:2001")),
        ("udp:b:2000 tcp:a:2001", ("b:2000", "a:2001")),
        ("udp:b:2000", None),
        ("a:b", None),
        ("a:0", None),
        ("daemon", None),
    ],
)
def test_a_daemons_address_in_all_its_forms(text, addresses):
    assert daemon_addresses(text) == addresses


@pytest.mark.parametrize(
    ("env", "endpoint", "sampling"),
    [
        ({}, "http://127.0.0.1:4318", "http://127.0.0.1:4318"),
        ({"FLUORO_ENDPOINT": "grpc://c:4317"}, "grpc://c:4317", "http://c:4318"),
        ({"FLUORO_ENDPOINT": "grpc://c"}, "grpc://c", "http://c:4318"),
        ({"FLUORO_ENDPOINT": "grpc://c:50051"}, "grpc://c:50051", ""),
        ({"FLUORO_ENDPOINT": "udp://d"}, "udp://d", "http://d:2000"),
        ({"AWS_XRAY_DAEMON_ADDRESS": "tcp:a:2001 udp:b:2000"}, "udp://b:2000", "http://a:2001"),
        ({"AWS_XRAY_DAEMON_ADDRESS": "d:2000", "FLUORO_ENDPOINT": "http://c:1"}, "http://c:1", "http://c:1"),
        ({"AWS_XRAY_DAEMON_ADDRESS": "what"}, "http://127.0.0.1:4318", "http://127.0.0.1:4318"),
        ({"FLUORO_SAMPLE_RATE": "1"}, "http://127.0.0.1:4318", ""),
        ({"OTEL_TRACES_SAMPLER": "xray"}, "http://127.0.0.1:4318", "http://127.0.0.1:4318"),
        ({"FLUORO_SAMPLE_RATE": "1", "FLUORO_SAMPLING_ENDPOINT": "http://s:1"}, "http://127.0.0.1:4318", "http://s:1"),
        ({"FLUORO_SAMPLING_ENDPOINT": "none"}, "http://127.0.0.1:4318", ""),
    ],
)
def test_where_to_send_and_whom_to_ask_for_rules(env, endpoint, sampling):
    settings = read(**env)
    assert (settings.endpoint, settings.sampling_endpoint) == (endpoint, sampling)


def test_a_rate_and_rules_exclude_each_other():
    assert read(FLUORO_SAMPLING_RULES="/rules.json").sampling_rules == "/rules.json"
    with pytest.raises(SettingsError, match="one of them"):
        read(FLUORO_SAMPLING_RULES="/rules.json", FLUORO_SAMPLE_RATE="0.5")


def test_a_missing_context_and_the_places_to_look_for():
    assert read().context_missing == "IGNORE_ERROR"
    assert read(AWS_XRAY_CONTEXT_MISSING="log_error").context_missing == "LOG_ERROR"
    assert read(AWS_XRAY_CONTEXT_MISSING="?").context_missing == "IGNORE_ERROR"
    both = read(FLUORO_CONTEXT_MISSING="RUNTIME_ERROR", AWS_XRAY_CONTEXT_MISSING="IGNORE_ERROR")
    assert both.context_missing == "RUNTIME_ERROR"
    assert read().detectors == {"all"}
    assert read(FLUORO_DETECTORS="none").detectors == frozenset()
    assert read(FLUORO_DETECTORS="ec2, Lambda").detectors == {"ec2", "lambda"}


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        read().endpoint = "x"
