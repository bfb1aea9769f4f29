"""The wall time of training runs by attempt and part, read from metrics.jsonl."""
