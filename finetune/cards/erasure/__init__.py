"""Erasure of withdrawn texts: where they are found, what happens there, and the Hub step."""
