"""The command line of the operator: starts the two programs as processes and imports neither."""
