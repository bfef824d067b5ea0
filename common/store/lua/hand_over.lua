-- hand_over: a watcher gives units back; whoever wants one may take it at once.
-- KEYS  1 holders (hash)  2 terms (zset)
-- ARGV  1 watcher, then units; one that it does not hold is passed over
-- Answer  units given back
-- Clock none. Cost O(units). Caller Tenures.hand_over
local given = 0
for i = 2, #ARGV do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
    given = given + 1
  end
end
return given
