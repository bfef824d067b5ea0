"""What the programs say about themselves: logs without secrets, metrics, probes."""
