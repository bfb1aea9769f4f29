"""Outputs of the systems for the test items: their texts, and facts on them."""
