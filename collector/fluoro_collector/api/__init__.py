"""The HTTP APIs that answer: the X-Ray operations and the dashboard's /api/…. Only HTTP lives here."""
