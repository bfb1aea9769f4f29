"""Mozilla Data Collective: data sets through its own client (extra `mdc`)."""
