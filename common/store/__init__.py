"""The Redis data model: a FIFO group per agent. `docs/reference/redis.md` tables the keys."""
