-- arrive: a drainer has answered the bell and is about to claim.
-- KEYS  1 looking (zset)  2 asleep (zset)  3 rung (string)
-- ARGV  1 drainer
-- Answer  1
-- Clock TIME. Cost O(log drainers). Caller Dispatcher.claim
--@include summon
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[1], now_ms() + PROMISE_MS, ARGV[1])
return 1
