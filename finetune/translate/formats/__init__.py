"""Formats of files to translate: where their texts stand."""
