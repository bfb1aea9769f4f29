"""Exports: forms in which an adapter leaves; a file each."""
