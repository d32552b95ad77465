"""The doors. Each reads its protocol, calls a pure decoder and `Ingest.accept`, and answers in its protocol's terms."""
