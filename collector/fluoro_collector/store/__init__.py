"""The store: ClickHouse in our process or on a server, behind one `Engine`; segments as columns; the schema."""
