"""The plugins are fluoro's detectors; by default all of them look where the process runs."""
