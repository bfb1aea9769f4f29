"""Sections of recipes and cards."""
