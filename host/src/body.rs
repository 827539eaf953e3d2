//! Bodies of requests and responses.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};

/// The body of a request or a response.
pub type Body = wasmtime_wasi_http::WasiBody;

/// A body without content.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body with `content`.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}
