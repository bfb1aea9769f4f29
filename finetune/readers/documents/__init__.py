"""Readers of documents: Word and PDF."""
