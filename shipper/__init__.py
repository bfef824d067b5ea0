"""Turns the records of one agent, in order, into log lines in Coder. Never talks to Kubernetes."""
