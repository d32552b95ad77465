"""What a set of matching traces has in common: histograms, series, top values, and the difference of two sets."""
