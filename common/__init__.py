"""What the watcher and the shipper must agree on: records, the Redis data model, settings, telemetry."""
