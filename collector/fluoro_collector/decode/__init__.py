"""Bytes from the doors → segments. Pure functions; only receivers turn their errors into status codes."""
