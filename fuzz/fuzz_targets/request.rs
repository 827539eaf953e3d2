//! Path, query and headers of a request: reading any of them gives a value or a
//! problem for the client.

#![no_main]

use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use libfuzzer_sys::fuzz_target;
use service_kit::Request;

// The first line is the path with the query, every other line a header.
fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Ok(target) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let headers: Vec<(HeaderName, HeaderValue)> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::try_from(&line[..colon]).ok()?;
            Some((name, HeaderValue::try_from(&line[colon + 1..]).ok()?))
        })
        .collect();
    let headers = move |asked: &HeaderName| {
        let values = headers.iter().filter(|(name, _)| name == asked);
        values.map(|(_, value)| value.clone()).collect()
    };
    let mut request = Request::new(Method::GET, target, Box::new(headers), None);
    assert!((1..=128).contains(&request.id.len()));
    assert!(request.id.bytes().all(|byte| byte.is_ascii_graphic()));
    if let Err(problem) = request.decode_path() {
        assert!(problem.status.is_client_error());
        return;
    }
    assert!(request.segments().iter().all(|segment| segment.chars().count() <= 256));
    request.prefers_html();
    request.bearer_token();
    request.conditions().allow_write(Some("\"0123456789abcdef\""));
    for name in ["id", "limit", "offset"] {
        let problems =
            [request.parameters(name).err(), request.number_parameter(name, 1..=100, 3).err()];
        for problem in problems.into_iter().flatten() {
            assert_eq!(problem.status, StatusCode::BAD_REQUEST, "{name}");
        }
    }
});
