-- What wrk runs beside its requests: counts the answers whose status is not the
-- one that is expected (the first argument after `--`), and ends with a line of
-- JSON, since the figures that wrk prints are rounded.

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    expected = tonumber(arguments[1])
    wrong = 0
end

function response(status)
    if status ~= expected then
        wrong = wrong + 1
    end
end

function done(summary, latency)
    local wrong = 0
    for _, thread in ipairs(threads) do
        wrong = wrong + thread:get("wrong")
    end
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "wrong status": %d, '
            .. '"connect": %d, "read": %d, "write": %d, "timeout": %d}',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), wrong,
        errors.connect, errors.read, errors.write, errors.timeout
    ))
end
