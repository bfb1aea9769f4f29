"""First step: from files to documents."""
