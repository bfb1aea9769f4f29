"""Stage `release` and publishing: adapter and results -> a folder that is a Hub repository."""
