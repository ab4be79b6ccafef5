"""Parameters of the dashboard: `dashboard.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True, kw_only=True)
class DashboardParams:
    """Address of the dashboard's server, and the names of its people."""

    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")] = "127.0.0.1"
    """Network interface; 0.0.0.0 makes the dashboard reachable from the network."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8501
    """TCP port."""
    account_claim: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/-]{1,200}$")] = "email"
    """Claim of the login whose value is the account name that `promoters.people` of the policy
    lists, such as `email` or `preferred_username`."""
    predict_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """Time after which an answer on the page Try it is given up, in seconds."""
    predict_memory_mb: Annotated[int, Field(ge=256, le=2**20)] = 8192
    """Memory for the data of the process that answers on the page Try it, in MB."""
