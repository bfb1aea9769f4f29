"""An interview at a terminal: the person who answers, the answers kept, the file as it is shown."""
