"""Tasks: their items, and the answers of a system; one module each."""
