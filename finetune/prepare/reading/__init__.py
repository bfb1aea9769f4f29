"""First step: records of cards as drafts and documents, and the spool that they wait in."""
