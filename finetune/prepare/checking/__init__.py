"""Second step: texts are cleaned and checked; each leaves with a reason, or goes on."""
