//! Successful answers, ready to be sent, and those that were sent before.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

use crate::{Answer, Call, Problem, Reply};

/// How many answers an instance keeps: as many as it is given requests, on Spin.
const MAX_ANSWERS: usize = 128;

/// The largest one that it keeps, in bytes.
const MAX_SIZE: usize = 64 * 1024;

/// A reply with its validator.
pub(crate) struct Rendered {
    pub(crate) reply: Reply,
    pub(crate) etag: String,
}

impl Rendered {
    pub(crate) fn new(reply: Reply) -> Rc<Self> {
        Rc::new(Self { etag: etag(&reply), reply })
    }
}

/// What `handler` answers to the path and query of `call`, rendered now or before.
///
/// The data do not change as long as an instance lives, so neither does the
/// answer.
///
/// # Errors
/// Those of `handler`, which is asked again next time.
pub(crate) fn once(call: &Call, handler: impl FnOnce() -> Answer) -> Result<Rc<Rendered>, Problem> {
    thread_local! {
        static KNOWN: RefCell<Vec<(String, Rc<Rendered>)>> = RefCell::default();
    }
    let known = KNOWN.with_borrow(|known| {
        let known = known.iter().find(|(target, _)| *target == call.target);
        known.map(|(_, rendered)| rendered.clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let rendered = Rendered::new(handler()?);
    KNOWN.with_borrow_mut(|known| {
        let Reply { body, varies, .. } = &rendered.reply;
        if known.len() < MAX_ANSWERS && body.len() <= MAX_SIZE && !varies {
            known.push((call.target.clone(), rendered.clone()));
        }
    });
    Ok(rendered)
}

/// A strong validator (RFC 9110, section 8.8.3): other content, other tag.
fn etag(reply: &Reply) -> String {
    // Of fixed keys, so that all instances agree.
    let mut hasher = DefaultHasher::new();
    hasher.write(reply.content_type.as_bytes());
    hasher.write(&reply.body);
    format!("\"{:016x}\"", hasher.finish())
}
