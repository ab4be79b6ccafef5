"""Parameters of the dashboard: `dashboard.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DashboardParams:
    """Where the dashboard listens."""

    address: str = "127.0.0.1"
    """Interface; 0.0.0.0 would show it to the whole network."""
    port: int = 8501

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError("port must lie between 1 and 65535")
