-- vacate: forget how far a unit was read that is gone for good, if nobody reads it and nothing in it is known any more.
-- KEYS  1 holders (hash)  2 terms (zset)  3 reigns (hash)  4 objects (hash)  5 positions (hash)  6 floors (hash)
-- ARGV  1 unit
-- Answer  "vacated"; "held" by a watcher, or "known": objects are still remembered; these changed nothing
-- Clock TIME. Cost O(log units). Caller Ledger.vacate
local FAR_MS = 10 * 60 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local term = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0')
if redis.call('HGET', KEYS[1], ARGV[1]) and term > now and term <= now + FAR_MS then return 'held' end
if redis.call('EXISTS', KEYS[4]) == 1 then return 'known' end
-- The epoch may go too: the next one is a time, and so is newer.
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[1])
return 'vacated'
