-- leave: a drainer goes home; what is due is handed to somebody else.
-- KEYS  1 due (zset)  2 looking (zset)  3 asleep (zset)  4 rung (string)  5 wake of this drainer (list)
-- Built wake:<drainer> (list)
-- ARGV  1 drainer  2 prefix of wake keys
-- Answer  1 = the caller must ring the bell, else 0
-- Clock TIME. Cost O(log agents). Caller Dispatcher.leave
--@include summon
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[5])
local now = now_ms()
if redis.call('ZCOUNT', KEYS[1], '-inf', now) == 0 then return 0 end
return summon(KEYS[2], KEYS[3], KEYS[4], ARGV[2], now)
