"""The script Streamlit runs for every session: names the pages and hands over to one of them."""

from __future__ import annotations

from fluoro_dashboard.pages import navigation

navigation.run()
