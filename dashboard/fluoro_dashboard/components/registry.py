"""Registers our components with Streamlit on first use: it refuses to do so before its runtime exists."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from fluoro_dashboard import assets


@functools.cache
def component(name: str) -> Callable[..., Any]:
    """The mounting function of `frontend/<name>.js` with `base.css`, `bars.css` and `<name>.css`."""
    return st.components.v2.component(f"fluoro_{name}", js=assets.loader(name), css=assets.style("base", "bars", name))


def ignore() -> None:
    """A change callback that does nothing: naming one is what makes a value a state of the component."""
