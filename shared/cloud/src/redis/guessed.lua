-- Says how an attempt ended that guesses.lua or tally.lua let in.
-- KEYS: its tally; of a sign-in also: accounts that its address has failed at, failures of all, addresses seen at the account.
-- ARGV: now (ms), how it ended (undecided, right, signed_in), whether it made its account one of those (0/1), account,
--       address, SEEN (ms).
local n = tonumber(redis.call('HGET', KEYS[1], 'n') or 0)
if ARGV[2] == 'undecided' and n > 1 then
  redis.call('HSET', KEYS[1], 'n', n - 1, 'until', ARGV[1])
else
  redis.call('DEL', KEYS[1])
end
if #KEYS == 1 then return 1 end
if ARGV[2] ~= 'undecided' or ARGV[3] == '1' then
  redis.call('ZREM', KEYS[2], ARGV[4])
end
if tonumber(redis.call('GET', KEYS[3]) or 0) > 0 then
  redis.call('DECR', KEYS[3])
end
if ARGV[2] == 'signed_in' then
  redis.call('ZADD', KEYS[4], ARGV[1], ARGV[5])
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -51)
  redis.call('PEXPIRE', KEYS[4], ARGV[6])
end
return 1
