"""Second step: checks on texts, and what they found."""
