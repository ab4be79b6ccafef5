"""The ports of servers: a free one, and a check before a server starts."""

from __future__ import annotations

import socket

from flows.errors import FlowError


def free_port() -> int:
    """Return a loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(address: str, port: int, advice: str) -> None:
    """Check that a port is free.

    Args:
        address: address to listen on.
        port: the port.
        advice: what the person can do instead, for the error.

    Raises:
        FlowError: another program uses the port, or this one may not.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise FlowError(
                f"{address}:{port} cannot be used ({error.strerror}); {advice}"
            ) from None
