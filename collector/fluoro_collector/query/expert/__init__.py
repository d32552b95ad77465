"""SQL that people write themselves: read only, limited, our tables."""
