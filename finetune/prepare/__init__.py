"""Stage `prepare`: cards -> documents -> packed sequences, with a corpus report."""
