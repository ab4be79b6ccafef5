"""Number types of params.yaml with their bounds, which are enforced when the file is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MAX_COUNT = 2**31 - 1

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
"""Seed that torch, NumPy and Python accept alike."""
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Length = Annotated[int, Field(ge=8, le=65536)]
"""Length of a packed sequence in tokens."""
Processes = Annotated[int, Field(ge=1, le=4096)]
"""Processes or threads."""
Retries = Annotated[int, Field(ge=0, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
"""Share below 1, e.g. of dropout."""
