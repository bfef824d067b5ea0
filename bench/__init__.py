"""Measures speed and size of the real programs between the two doubles: `python -m bench`."""
