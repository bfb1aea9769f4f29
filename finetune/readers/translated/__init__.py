"""Readers of translations: memories, catalogues, messages, line-aligned files."""
