"""Pinned external files: downloads, checksums, the lock."""
