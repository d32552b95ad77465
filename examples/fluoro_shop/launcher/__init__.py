"""Runs the demo: ports, processes, their health and their end. The shop itself knows nothing of it."""
