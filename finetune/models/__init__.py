"""Base models, adapters, scoring and generation: what train, evaluate and chat share (heavy)."""
