"""Faults at every point, against the real programs and a real Valkey; `python -m tests.faults` plays them by seed."""
