"""What people write: recipes and data cards, read with line numbers."""
