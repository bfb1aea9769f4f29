"""The contract between stages: what a stage is given, and formats on disk."""
