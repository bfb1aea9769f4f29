"""The evaluation stage: base and adapter on the same held-out items."""
