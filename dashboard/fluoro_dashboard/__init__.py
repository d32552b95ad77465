"""The dashboard of fluoro: service map, trace search and trace waterfall in Streamlit.

Floors, an import only points down: `serve`, `app`, `pages` → `components` → `client` → pure modules (`format`, `filters`,
`ranges`, `map_data`, `trace_data`, `critical_path`, `assets`).
"""
