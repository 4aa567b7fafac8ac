-- Charges one attempt to one tally, unless it comes too early. See domain/src/guesses.rs.
-- KEYS: the tally. ARGV: now (ms), memory (ms), free, number of waits, the waits (ms). Answers as guesses.lua does.
local now, memory, free, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local t = redis.call('HMGET', KEYS[1], 'n', 'until', 'at')
local n, till = 0, 0
if t[1] and now - tonumber(t[3]) < memory then n, till = tonumber(t[1]), tonumber(t[2]) end
if till > now then return { till - now, 1, n, 0 } end
n = n + 1
local step, wait = n - free, 0
if step > count then step = count end
if step > 0 then wait = tonumber(ARGV[4 + step]) end
redis.call('HSET', KEYS[1], 'n', n, 'until', string.format('%.0f', now + wait), 'at', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { 0, 1, n, 0 }
