"""Without `fluoro run`: where the command line is not yours to change, two lines of code trace the program.

    FLUORO_SERVICE_NAME=counter python examples/without_launcher.py

You will see one trace: `count`, and in it the query. `install` comes before the imports of what is to be traced.
"""

import fluoro

fluoro.install()

import sqlite3  # noqa: E402  after install

with fluoro.span("count"):
    print(sqlite3.connect(":memory:").execute("SELECT 40 + 2").fetchone()[0])
