"""The service map and what is counted by node and edge: by range, by filter, over time, and how two ranges differ."""
