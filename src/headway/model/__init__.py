"""What thinks: the Transformer. No input or output, no data."""
