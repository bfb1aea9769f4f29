"""Results in the form of Every Eval Ever, and its schemas (SOURCE.md)."""
