"""What the owners of texts do with their data cards: write, check, take back, show, publish."""
