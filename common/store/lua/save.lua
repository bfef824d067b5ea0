-- save: keep what a watcher knows of one resource in one unit, if the unit is still its own.
-- KEYS  1 reigns (hash)  2 objects (hash)
-- ARGV  1 unit  2 epoch, "" = whoever holds it  3 number of objects to put, then two an object: uid, packed
--       then the uids to remove
-- Answer  1, or 0 if the unit has got another holder: nothing was changed
-- Clock none. Cost O(objects). Caller Ledger.save
if ARGV[2] ~= '' and redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local first_gone = 4 + 2 * tonumber(ARGV[3])
for i = 4, first_gone - 1, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
for i = first_gone, #ARGV do redis.call('HDEL', KEYS[2], ARGV[i]) end
return 1
