"""Tables of what can be added by a row or by a package: metrics, tasks, exports."""
