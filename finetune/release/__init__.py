"""The release stage and publishing: adapter and results -> a repository of the Hub."""
