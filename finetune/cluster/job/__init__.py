"""The batch script of a job, and the decisions it asks for."""
