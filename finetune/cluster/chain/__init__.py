"""Files of a job chain: its jobs, the snapshot of its inputs, its progress."""
