"""The corpus report, the last step of preparation."""
