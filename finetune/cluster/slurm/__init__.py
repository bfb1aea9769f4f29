"""Slurm's commands, and plain words for its reasons."""
