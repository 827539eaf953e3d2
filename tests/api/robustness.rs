//! No request gets a 5xx: property tests through the real components. Every
//! response is checked against openapi.json too.

use http::{HeaderName, HeaderValue, Method, Request};
use proptest::prelude::*;

use crate::openapi::reads;
use crate::send;

/// The application's paths, paths that resemble them, and others.
fn path() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "movies",
        "top",
        "showtimes",
        "20151201",
        "bookings",
        "users",
        "chris_rivers",
        "suggested",
        "todo",
        "lists",
        "openapi.json",
        "267eedb8-0f5d-42d5-8f43-72426b9fb3e6",
        "",
        ".",
        "..",
    ]);
    let segment = prop_oneof![
        4 => known.prop_map(str::to_owned),
        1 => prop::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| encode(&bytes)),
        1 => "[!$&-.0-;=@-Z_a-z~]{0,300}",
    ];
    let made = prop::collection::vec(segment, 0..6);
    prop_oneof![
        made.prop_map(|segments| format!("/{}", segments.join("/"))),
        prop::sample::select(reads().map(|operation| operation.example).collect::<Vec<_>>()),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("id".to_owned()),
        Just("limit".into()),
        Just("offset".into()),
        "[a-z%+&=]{0,4}"
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| encode(&bytes)),
        "[!$-;=?-~]{0,20}",
    ];
    let pair = (name, value).prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(pair, 0..120).prop_map(|pairs| pairs.join("&"))
}

fn headers() -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    let name = prop::sample::select(vec![
        "accept",
        "if-match",
        "if-none-match",
        "x-request-id",
        "spin-path-info",
        "spin-full-url",
        "origin",
        "access-control-request-method",
        "range",
        "expect",
        "cookie",
        "x-other",
    ]);
    let value = prop_oneof![
        "[ -~]{0,80}",
        Just("text/html;q=0.5, */*".to_owned()),
        Just("\"a\", W/\"b\", *".to_owned()),
    ];
    // Spin itself answers 500 if a header is not UTF-8.
    let weight = if std::env::var_os("APP_URL").is_some() { 0 } else { 1 };
    let bytes = prop::collection::vec(128_u8..=255, 1..20);
    let value = prop_oneof![
        4 => value.prop_map(|text| HeaderValue::from_str(&text).expect("a value")),
        weight => bytes.prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("a value")),
    ];
    let header = (name.prop_map(HeaderName::from_static), value);
    prop::collection::vec(header, 0..6)
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    // `PROPTEST_CASES` sets the number of cases; the default is 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_path_query_or_header_causes_a_server_error(
        path in path(),
        query in query(),
        headers in headers(),
        method in prop::sample::select(vec![
            Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::TRACE,
        ]),
    ) {
        let uri = format!("{path}?{query}");
        prop_assume!(uri.parse::<http::Uri>().is_ok());
        let mut request = Request::builder().method(method).uri(uri).body(host::empty()).unwrap();
        request.headers_mut().extend(headers);
        let reply = send(request);
        prop_assert!(!reply.status.is_server_error(), "{reply:?}");
    }
}
