local seat = redis.call('HGET', KEYS[2], ARGV[1])
if seat then return tonumber(seat) end
local stock = tonumber(redis.call('GET', KEYS[1]) or '0')
if stock <= 0 then return 0 end
seat = ARGV[2] - redis.call('DECR', KEYS[1])
redis.call('HSET', KEYS[2], ARGV[1], seat)
redis.call('LPUSH', KEYS[3], ARGV[1])
return seat
