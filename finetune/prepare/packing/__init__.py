"""Fourth step: from documents to packed sequences on disk."""
