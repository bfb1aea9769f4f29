"""Evaluation: base and adapter on the same held-out items (stage `evaluate`)."""
