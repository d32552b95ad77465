"""Questions to the store: one module each. Functions take an `Engine`, block, and return msgspec structs."""
