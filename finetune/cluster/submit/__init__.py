"""Submission of a recipe or a sweep as a chain of jobs."""
