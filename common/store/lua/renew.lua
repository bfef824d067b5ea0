-- renew: move the ends of leases that are still held.
-- KEYS  1 due (zset)  2 epoch (hash)  3 claimed (set)
-- ARGV  1 lease in ms from now (0 = it ends now), then two a lease: agent id, epoch
-- Answer  ids of the leases that are lost, none = {}
-- Clock TIME. Cost O(leases). Guarantees 2, 3. Caller Dispatcher.renew, Dispatcher.give_back
--@include summon
begin_though_full(KEYS[1])
local ends, lost = now_ms() + tonumber(ARGV[1]), {}
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[i + 1] and redis.call('SISMEMBER', KEYS[3], ARGV[i]) == 1 then
    redis.call('ZADD', KEYS[1], ends, ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
