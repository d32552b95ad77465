"""Traces that match a filter, newest first: one relation of stored and live rows, pages, counts, summaries."""
