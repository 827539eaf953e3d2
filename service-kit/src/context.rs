//! What identifies a request to whoever works for it.

/// The request of a client that a line in the log, or a call of a sibling, belongs to.
#[derive(Clone, Debug)]
pub struct Context {
    /// What the logs of all services call it.
    pub request_id: String,
    /// Its place in a trace (W3C Trace Context), if it has one.
    pub traceparent: Option<String>,
}

impl Context {
    /// The id of its trace, if that is a valid one.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        let id = self.traceparent.as_ref()?.split('-').nth(1)?;
        let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = id.bytes().all(|byte| byte == b'0');
        (id.len() == 32 && is_hex && !is_zero).then_some(id)
    }
}
