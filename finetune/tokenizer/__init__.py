"""Tokenizer fertility, its audit, and new tokens for a language."""
