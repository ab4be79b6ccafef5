"""Parameters of the dashboard: `dashboard.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DashboardParams:
    """Address of the dashboard's server."""

    address: str = "127.0.0.1"
    """Network interface; 0.0.0.0 makes the dashboard reachable from the network."""
    port: int = 8501
    """TCP port."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port: {self.port} is out of range; expected 1 to 65535")
