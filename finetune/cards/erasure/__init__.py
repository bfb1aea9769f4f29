"""Erasure of withdrawn texts: where they are found, what becomes of it, and the Hub step."""
