//! Path, query and headers of a request: whatever they are, reading them ends
//! in a value or in a problem for the client.

#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use service_kit::{Call, Problem};

// The first line is the path with the query, every other one a header.
fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Ok(target) = str::from_utf8(lines.next().unwrap_or_default()) else { return };
    let headers: Vec<(Vec<u8>, Vec<u8>)> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((line[..colon].to_vec(), line[colon + 1..].to_vec()))
        })
        .collect();
    let mut call = Call::new(Method::GET, target, move |asked| {
        let values = headers.iter().filter(|(name, _)| name == asked.as_bytes());
        values.map(|(_, value)| value.clone()).collect()
    });
    if let Err(problem) = call.decode() {
        assert!(problem.status().is_client_error());
        return;
    }
    assert!(call.segments().iter().all(|segment| segment.len() <= 256));
    call.prefers_html();
    call.has("\"0123456789abcdef\"");
    for name in ["id", "limit", "offset"] {
        let problems = [call.parameters(name).err(), call.number(name, 1..=100, 3).err()];
        for problem in problems.into_iter().flatten() {
            assert!(matches!(problem, Problem::BadRequest(detail) if detail.contains(name)));
        }
    }
});
