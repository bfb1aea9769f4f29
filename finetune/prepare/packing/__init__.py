"""Fourth step: documents become tokens, packed sequences and splits on disk."""
