"""Recipes proposed from measurements: of the texts at hand, of earlier runs, and from papers."""
