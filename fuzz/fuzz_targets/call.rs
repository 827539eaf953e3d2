//! Path, query and headers of a request: whatever they are, reading them ends
//! in a value or in a problem for the client.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;
use service_kit::{Call, Problem};

// The first line is the URI, every other one a header.
fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let headers: HeaderMap = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            Some((name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?))
        })
        .collect();
    let mut call = Call::new(Method::GET, &uri, headers);
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
