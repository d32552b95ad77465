"""The public APIs of other tracing SDKs, over fluoro's recorder. Nothing here is loaded unless a program imports it."""
