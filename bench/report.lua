-- Ends what wrk prints with a line of JSON, since its own figures are rounded.
-- Nothing is called for each answer: that would take wrk longer than the answer.

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "status above 399": %d, '
            .. '"connect": %d, "read": %d, "write": %d, "timeout": %d}',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect, errors.read, errors.write, errors.timeout
    ))
end
