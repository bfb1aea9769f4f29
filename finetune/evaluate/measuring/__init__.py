"""Measuring in shards: which models on which devices, how items are cut, what is kept, the pace."""
