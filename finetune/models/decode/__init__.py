"""Generation: many prompts at once, a row each, without waiting for the longest answer."""
