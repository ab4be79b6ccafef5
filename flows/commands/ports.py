"""Check that a server can listen, before it starts."""

from __future__ import annotations

import socket

from flows.errors import FlowError


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
