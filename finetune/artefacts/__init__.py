"""The contract between stages: inputs of a stage, and formats on disk."""
