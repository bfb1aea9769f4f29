"""Everything from outside the project, pinned: fetching, checksums, the lock."""
