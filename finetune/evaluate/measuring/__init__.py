"""Measuring in shards: how items are cut, what is kept of each shard, the pace."""
