"""The orders of the shop, in SQLite."""

import sqlite3
from contextlib import closing


class OrderBook:
    """MAY be used from any thread: every call opens the file anew."""

    def __init__(self, path: str) -> None:
        self.path = path
        with closing(self.open()) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE IF NOT EXISTS orders (number TEXT PRIMARY KEY, total INTEGER, state TEXT)")

    def open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=10)

    def add(self, number: str, total: int) -> None:
        with closing(self.open()) as db, db:
            db.execute("INSERT INTO orders VALUES (?, ?, 'open')", (number, total))

    def set_state(self, number: str, state: str) -> None:
        with closing(self.open()) as db, db:
            db.execute("UPDATE orders SET state = ? WHERE number = ?", (state, number))

    def state(self, number: str) -> str | None:
        with closing(self.open()) as db:
            row = db.execute("SELECT state FROM orders WHERE number = ?", (number,)).fetchone()
        return row[0] if row else None
