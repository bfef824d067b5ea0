-- sweep: find work that somebody promised to do and did not.
-- KEYS  1 due (zset)  2 looking (zset)  3 asleep (zset)  4 rung (string)
-- Built wake:<drainer> (list)
-- ARGV  1 prefix of wake keys
-- Answer  1 = the caller must ring the bell, else 0
-- Clock TIME. Cost O(log agents). Guarantee 1. Caller Dispatcher.sweep
--@include summon
local OVERDUE_MS = 1000
local FAR_MS = 10 * 60 * 1000

local now = now_ms()
if redis.call('ZCOUNT', KEYS[1], '-inf', now - OVERDUE_MS) == 0
  and redis.call('ZCOUNT', KEYS[1], now + FAR_MS, '+inf') == 0 then
  return 0
end
return summon(KEYS[2], KEYS[3], KEYS[4], ARGV[1], now)
