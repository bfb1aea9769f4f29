"""Findings about a card: the rules, one module per subject, and how findings are shown."""
