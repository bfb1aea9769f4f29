"""Recipe and site -> a chain of Slurm jobs that can be read, followed and continued."""
