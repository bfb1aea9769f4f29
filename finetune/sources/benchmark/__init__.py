"""Data of public tasks: pinned, fetched, and found again."""
