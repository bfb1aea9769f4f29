"""The report of one or several runs: one offline page, Markdown or JSON."""
