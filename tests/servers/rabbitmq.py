"""A real RabbitMQ server from Debian's package; it takes ten seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from servers.account import directory_of, unprivileged
from servers.process import accepts, binary, free_port, running

# The script in /usr/sbin changes the user itself, and leaves the server running when it is stopped.
_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"


@contextmanager
def rabbitmq() -> Iterator[str]:
    """The URL of its broker, with all rights."""
    server = binary(_SERVER, "rabbitmq-server")
    with directory_of("rabbitmq") as directory:
        port, distribution = free_port(), free_port()
        env = {
            "HOME": str(directory),
            "RABBITMQ_NODENAME": f"fluoro{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(directory / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        with running([*unprivileged("rabbitmq"), server], lambda: accepts(port), log=directory / "server.log", env=env):
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
