"""Tables: rows and shape of tables as text, names of columns, cells without text."""
