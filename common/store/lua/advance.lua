-- advance: keep how far a watcher has read one resource, for each unit that is still its own.
-- KEYS  1 reigns (hash)  2 positions (hash)
-- ARGV  1 position, then two a unit: unit, epoch ("" = whoever holds it)
-- Answer  the units that have got another holder: theirs was not changed
-- Clock none. Cost O(units). Caller Ledger.advance
local lost = {}
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' or redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[1])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
