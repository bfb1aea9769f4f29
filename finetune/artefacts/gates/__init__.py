"""Gates: what an evaluation must show before a release may be public."""
