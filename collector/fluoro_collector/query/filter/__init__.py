"""X-Ray's filter expressions: text → `parse` → tree → `compile_filter` → SQL."""
