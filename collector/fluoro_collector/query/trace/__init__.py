"""One trace: reading it, its tree, notes on it, its root causes, and the retrieval of many."""
