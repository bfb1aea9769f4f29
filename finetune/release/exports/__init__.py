"""Export formats of an adapter; one module each."""
