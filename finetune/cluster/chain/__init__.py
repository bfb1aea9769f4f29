"""A chain of Slurm jobs as files: its jobs, its copy of the inputs, its progress."""
