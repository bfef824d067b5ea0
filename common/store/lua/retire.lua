-- retire: a watcher takes no more part in the sharing; the others no longer count on it.
-- KEYS  1 watchers (zset)
-- ARGV  1 watcher
-- Answer  1, or 0 if it was not counted on any more
-- Clock none. Cost O(log watchers). Caller Tenures.retire
return redis.call('ZREM', KEYS[1], ARGV[1])
