"""Base models, adapters, scoring and generation (heavy imports)."""
