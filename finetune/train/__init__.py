"""The training stage: packed tokens -> adapter."""
