"""The script Streamlit runs for every session: names the pages and hands over to one of them.

It must not stand beside a folder `pages`: Streamlit would take every file in there for a page of its own, and a deep
link that is the first request of a server would run that file, which shows nothing.
"""

from __future__ import annotations

from fluoro_dashboard.pages import navigation

navigation.run()
