"""Output: console, tables, durable files, pages."""
