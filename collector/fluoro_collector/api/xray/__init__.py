"""The X-Ray API: operations by family, and the wire they share."""
