"""Slurm's commands, and its reasons for pending jobs."""
