-- Books and cancels in turns, as a script of wrk with as many threads as connections.
-- Each connection has bookings of its own, so every answer also tells that the write
-- before it was kept: a PUT that finds the booking is no 201, and a DELETE that does not
-- find it is no 204.
--
-- The arguments are the number of connections and the paths of the bookings.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
   thread:set("number", #threads)
end

function init(arguments)
   paths, turn, is_booked, errors = {}, 1, false, 0
   for index = 1 + number, #arguments, tonumber(arguments[1]) do
      table.insert(paths, arguments[index])
   end
end

function request()
   return wrk.format(is_booked and "DELETE" or "PUT", paths[turn])
end

function response(status)
   if status ~= (is_booked and 204 or 201) then
      errors = errors + 1
   end
   -- What failed is sent again.
   if status < 500 then
      if is_booked then
         turn = turn % #paths + 1
      end
      is_booked = not is_booked
   end
end

function done()
   local sum = 0
   for _, thread in ipairs(threads) do
      sum = sum + thread:get("errors")
   end
   print("Errors: " .. sum)
end
