"""Third step: duplicates, contamination and held-out texts."""
