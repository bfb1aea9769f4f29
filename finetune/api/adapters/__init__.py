"""Adapters wherever they are: of a recipe, in a folder, on the Hub."""
