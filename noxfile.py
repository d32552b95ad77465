"""The matrices behind `make test-all`: the oldest supported version of each library, and every supported Python.

    nox -l                        what there is
    nox -s "oldest(flask)"        one library's floor
    nox -s otel                   OpenTelemetry's instrumentations on our provider
    nox -s "python-3.13"          the SDK's tests on one Python

The newest versions are what `make test` runs on.
"""

from __future__ import annotations

from typing import NamedTuple

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

# What the tests themselves need, beside the library under test.
TOOLS = ("hypothesis", "pytest>=8.4", "pytest-timeout", "pytest-xdist")


class Floor(NamedTuple):
    """The oldest versions of one library: its pins (with the dependencies that fit them) and the tests that must pass."""

    pins: tuple[str, ...]
    tests: tuple[str, ...]
    python: str = "3.10"


INSTRUMENT = "tests/sdk/instrument"

_OTEL_HERE = ("instrumentation-jinja2", "instrumentation-requests")  # those that tests/sdk/otel itself is tested with

OLDEST: dict[str, Floor] = {
    "aiosqlite": Floor(("aiosqlite==0.17.0",), (f"{INSTRUMENT}/test_aiosqlite.py",)),
    "asyncpg": Floor(("asyncpg==0.27.0",), (f"{INSTRUMENT}/test_asyncpg.py",)),
    "mysql-connector": Floor(("mysql-connector-python==8.0.29",), (f"{INSTRUMENT}/test_mysql_connector.py",)),
    "mysqlclient": Floor(("mysqlclient==2.1.0",), (f"{INSTRUMENT}/test_mysqlclient.py",)),
    "pg8000": Floor(("pg8000==1.29.0",), (f"{INSTRUMENT}/test_pg8000.py",)),
    "psycopg": Floor(("psycopg[binary]==3.1.0",), (f"{INSTRUMENT}/test_psycopg.py",)),
    "psycopg2": Floor(("psycopg2-binary==2.9.0",), (f"{INSTRUMENT}/test_psycopg2.py",)),
    "pymysql": Floor(("pymysql==1.0.0",), (f"{INSTRUMENT}/test_pymysql.py",)),
    "sqlalchemy-1.4": Floor(
        ("sqlalchemy[asyncio]==1.4.0", "aiosqlite", "psycopg2-binary==2.9.9", "pymysql", "asyncpg==0.27.0"),
        (f"{INSTRUMENT}/test_sqlalchemy.py", f"{INSTRUMENT}/test_sqlalchemy_drivers.py"),
    ),
    "sqlalchemy-2.0": Floor(
        ("sqlalchemy[asyncio]==2.0.0", "aiosqlite", "psycopg2-binary", "psycopg[binary]", "pymysql", "asyncpg"),
        (f"{INSTRUMENT}/test_sqlalchemy.py", f"{INSTRUMENT}/test_sqlalchemy_drivers.py"),
    ),
    "aiobotocore": Floor(
        ("aiobotocore==2.5.0", "aioboto3==11.1.0", "moto[server]"), (f"{INSTRUMENT}/test_aiobotocore.py",)
    ),
    "botocore": Floor(
        ("botocore==1.29.0", "boto3==1.26.0", "s3transfer==0.6.0", "moto[server]"),
        (f"{INSTRUMENT}/test_botocore.py", f"{INSTRUMENT}/test_sqs.py", f"{INSTRUMENT}/test_aws_carriers.py"),
    ),
    "celery": Floor(
        ("celery==5.2.0", "kombu==5.2.1", "redis==4.0.0", "hiredis<3", "setuptools<70"),
        (f"{INSTRUMENT}/test_celery.py",),
    ),
    "grpc": Floor(
        ("grpcio==1.50.0", "setuptools<70"), (f"{INSTRUMENT}/test_grpc.py", f"{INSTRUMENT}/test_grpc_asyncio.py")
    ),
    "pymongo": Floor(("pymongo==4.0",), (f"{INSTRUMENT}/test_pymongo.py",)),
    "pymongo-asyncio": Floor(("pymongo==4.9",), (f"{INSTRUMENT}/test_pymongo_asyncio.py",)),
    "redis": Floor(("redis==4.0.0", "hiredis<3"), (f"{INSTRUMENT}/test_redis.py",)),
    "redis-asyncio": Floor(("redis==4.4.0",), (f"{INSTRUMENT}/test_redis_since_4_4.py",)),
    "flask": Floor(("flask==2.2.0", "werkzeug==2.2.0"), (f"{INSTRUMENT}/test_flask.py",)),
    "aiohttp-client": Floor(("aiohttp==3.8.0",), (f"{INSTRUMENT}/test_aiohttp_client.py",)),
    "tornado-client": Floor(("tornado==6.1",), (f"{INSTRUMENT}/test_tornado_client.py",)),
    "http-layers": Floor(
        ("requests==2.21.0", "urllib3==1.24.0", "httpx==0.24.0", "aiohttp==3.8.0", "tornado==6.1"),
        (f"{INSTRUMENT}/test_http_layers.py",),
    ),
    "urllib3": Floor(("urllib3==1.24.0",), (f"{INSTRUMENT}/test_urllib3.py",)),
    "httpx": Floor(("httpx==0.24.0",), (f"{INSTRUMENT}/test_httpx.py",)),
    "bottle": Floor(("bottle==0.12.19", "werkzeug"), (f"{INSTRUMENT}/test_bottle.py",)),
    "django": Floor(
        ("django==3.2", "asgiref==3.3.2", "werkzeug", "uvicorn"),
        (f"{INSTRUMENT}/test_django.py",),
    ),
    "django-4.2": Floor(("django==4.2", "werkzeug", "uvicorn"), (f"{INSTRUMENT}/test_django.py",)),
    # Not old: the newest, which Python 3.11 cannot have.
    "django-newest": Floor(("django>=6.0", "werkzeug", "uvicorn"), (f"{INSTRUMENT}/test_django.py",), "3.12"),
    "falcon": Floor(("falcon==3.0.0", "werkzeug", "uvicorn"), (f"{INSTRUMENT}/test_falcon.py",)),
    "pyramid": Floor(("pyramid==1.10", "setuptools<70", "werkzeug"), (f"{INSTRUMENT}/test_pyramid.py",)),
    "wsgi": Floor(
        (
            "flask==2.2.0",
            "werkzeug==2.2.0",
            "gunicorn==20.1.0",
            "waitress==2.0.0",
            "cheroot==8.4.0",
            "gevent==21.12.0",
            "django==3.2",
            "setuptools<70",
            "starlette",
            "uvicorn",
            "zope.event<5",
            "zope.interface<6",
        ),
        (f"{INSTRUMENT}/test_wsgi.py", f"{INSTRUMENT}/test_wsgi_processes.py"),
    ),
    "aiohttp-server": Floor(("aiohttp==3.8.0", "yarl<1.9"), (f"{INSTRUMENT}/test_aiohttp_server.py",)),
    "asgi": Floor(
        ("uvicorn==0.20.0", "hypercorn==0.14.0", "fastapi==0.100.0", "asgiref", "wsproto"),
        (f"{INSTRUMENT}/test_asgi_servers.py",),
    ),
    "fastapi": Floor(("fastapi==0.100.0", "uvicorn", "wsproto"), (f"{INSTRUMENT}/test_fastapi.py",)),
    "lambda": Floor(("awslambdaric==2.0.0", "flask>=3"), (f"{INSTRUMENT}/test_lambda.py",)),
    "threads": Floor(("gevent==22.10.2",), (f"{INSTRUMENT}/test_carry.py",)),
    "litestar": Floor(
        ("litestar==2.12.0", "sniffio", "annotated-types", "uvicorn", "wsproto"), (f"{INSTRUMENT}/test_litestar.py",)
    ),
    "quart": Floor(("quart==0.18.0", "werkzeug==2.2.3", "uvicorn", "wsproto"), (f"{INSTRUMENT}/test_quart.py",)),
    "sanic": Floor(("sanic==22.12.0", "websockets<11", "uvicorn", "wsproto"), (f"{INSTRUMENT}/test_sanic.py",)),
    "starlette": Floor(("starlette==0.27.0", "anyio<4", "uvicorn", "wsproto"), (f"{INSTRUMENT}/test_starlette.py",)),
    "tornado-server": Floor(("tornado==6.1",), (f"{INSTRUMENT}/test_tornado_server.py",)),
    "pynamodb": Floor(
        ("pynamodb==5.3.2", "botocore==1.29.0", "boto3==1.26.0", "moto[server]"), (f"{INSTRUMENT}/test_pynamodb.py",)
    ),
    "requests": Floor(("requests==2.20.0",), (f"{INSTRUMENT}/test_requests.py",)),
    **{
        f"opentelemetry-{api.rpartition('.')[0]}": Floor(
            (
                f"opentelemetry-api=={api}",
                f"opentelemetry-sdk=={api}",
                *(f"opentelemetry-{each}=={contrib}" for each in ("distro", *_OTEL_HERE)),
                "jinja2",
                "requests",
                "setuptools<70",
            ),
            ("tests/sdk/otel",),
        )
        for api, contrib in (("1.26.0", "0.47b0"), ("1.39.0", "0.60b0"), ("1.44.0", "0.65b0"))
    },
}

# OpenTelemetry's instrumentations that run on our provider, with the libraries they are for. Two of OpenAI's and
# Google's newest do not fit each other.
PACKAGES = (
    *(
        f"opentelemetry-instrumentation-{name}"
        for name in (
            "aio-pika",
            "aiokafka",
            "aiopg",
            "asyncclick",
            "asyncio",
            "boto3sqs",
            "botocore",
            "click",
            "confluent-kafka",
            "fastapi",
            "flask",
            "google-genai",
            "httpx",
            "jinja2",
            "kafka-python",
            "openai-v2",
            "pika",
            "pymemcache",
            "remoulade",
            "requests",
            "tortoiseorm",
            "urllib3",
        )
    ),
    "aio-pika",
    "aiokafka",
    "aiopg",
    "asyncclick",
    "boto3",
    "click",
    "confluent-kafka<3",
    "elasticsearch",
    "fastapi",
    "flask",
    "google-genai<3",
    "httpx",
    "jinja2",
    "kafka-python<3",
    "openai",
    "opentelemetry-distro",
    "opentelemetry-sdk",
    "opentelemetry-util-genai<1",
    "pika",
    "psycopg2-binary",
    "pymemcache",
    "remoulade[pydantic]",
    "requests",
    "tortoise-orm",
)


@nox.session(venv_backend="uv|virtualenv")
@nox.parametrize("python,library", [nox.param(floor.python, name, id=name) for name, floor in OLDEST.items()])
def oldest(session: nox.Session, library: str) -> None:
    floor = OLDEST[library]
    session.install("-e", ".", *TOOLS, *floor.pins)
    # Old libraries use what Python has deprecated since; that is not what is tested here.
    quiet = ("-W", "ignore::ImportWarning", "-W", "ignore::DeprecationWarning")
    session.run("pytest", "-q", "-m", "not bench and not packages", *quiet, *floor.tests, *session.posargs)


@nox.session(venv_backend="uv|virtualenv", python="3.11")
def otel(session: nox.Session) -> None:
    session.install("-e", ".", *TOOLS, *PACKAGES)
    session.run("pytest", "-q", "-m", "packages", "tests/sdk/otel/packages", *session.posargs)


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def python(session: nox.Session) -> None:
    if session.python == "3.10":  # the SDK runs there, the dashboard does not
        extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
        needed = [each for each in (*extras["dev"], *extras["demo"]) if not each.startswith("fluoro[")]
        session.install("-e", ".[collector]", *needed)
    else:
        session.install("-e", ".[dev]")
    session.run(
        "pytest",
        "-q",
        "-m",
        "not bench and not packages",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "tests/sdk",
        *session.posargs,
    )


@nox.session(venv_backend="uv|virtualenv")
def uwsgi(session: nox.Session) -> None:
    """It is compiled here, which wants a C compiler."""
    session.install("-e", ".", *TOOLS, "flask", "uwsgi")
    session.run("pytest", "-q", "tests/sdk/processes/uwsgi_matrix.py", *session.posargs)
