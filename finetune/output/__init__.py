"""Output for people: console, tables, durations."""
