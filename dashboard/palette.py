"""Colours of charts in the light and the dark theme, each with a contrast of at least 4.5 : 1."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours for one theme."""

    background: str
    text: str
    muted: str
    """Frontier, chance, and lines between points."""
    dense: str
    moe: str


LIGHT = Palette(
    background="#ffffff", text="#2f2d2b", muted="#667085", dense="#3f51b5", moe="#b54708"
)
DARK = Palette(
    background="#171614", text="#edebe8", muted="#98a2b3", dense="#98a5f5", moe="#f79646"
)


def current_palette() -> Palette:
    """Return the palette of the theme that the browser shows."""
    return DARK if st.context.theme.type == "dark" else LIGHT
