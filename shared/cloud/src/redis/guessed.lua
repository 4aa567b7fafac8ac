-- Gives back what guesses.lua charged: the attempt was no failure.
-- KEYS: as there. ARGV: now (ms), known (0/1), address, account, SEEN (ms), whether the address becomes known (0/1).
redis.call('DEL', ARGV[2] == '1' and KEYS[3] or KEYS[2])
redis.call('ZREM', KEYS[5], ARGV[4])
if tonumber(redis.call('GET', KEYS[6]) or 0) > 0 then
  redis.call('DECR', KEYS[6])
end
if ARGV[6] == '1' then
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[3])
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -51)
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return 1
