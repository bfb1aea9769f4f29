"""Chat with base and adapter in the terminal."""
