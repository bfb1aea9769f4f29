"""Submission of a recipe or a sweep as a job chain."""
