"""Turns what the Kubernetes API says into records and appends them to the agents' streams. Never talks to Coder."""
