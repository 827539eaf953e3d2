//! The `service-kit` of the components, without WebAssembly: the same files,
//! except that `wasi` sends and receives requests over sockets, and opens the database
//! itself.

#[path = "../../../service-kit/src/call.rs"]
pub mod call;
#[path = "../../../service-kit/src/conditions.rs"]
pub mod conditions;
#[path = "../../../service-kit/src/context.rs"]
pub mod context;
mod contract;
#[path = "../../../service-kit/src/data_file.rs"]
pub mod data_file;
#[path = "../../../service-kit/src/database.rs"]
mod database;
#[path = "../../../service-kit/src/json.rs"]
mod json;
#[path = "../../../service-kit/src/log.rs"]
mod log;
#[path = "../../../service-kit/src/problem.rs"]
pub mod problem;
#[path = "../../../service-kit/src/request.rs"]
pub mod request;
#[path = "../../../service-kit/src/response.rs"]
pub mod response;
#[path = "../../../service-kit/src/route.rs"]
pub mod route;
#[path = "../../../service-kit/src/service.rs"]
pub mod service;
#[path = "../../../service-kit/src/sibling.rs"]
pub mod sibling;
#[path = "../../../service-kit/src/table.rs"]
pub mod table;
#[path = "../../../service-kit/src/timing.rs"]
mod timing;
#[path = "../../../service-kit/src/unique_keys.rs"]
mod unique_keys;
#[path = "../../../service-kit/src/variable.rs"]
pub mod variable;
pub mod wasi;

pub use call::{CallError, ComposedSibling};
pub use conditions::Conditions;
pub use context::Context;
pub use contract::{bookings, movies};
pub use data_file::{DataFile, Record, Records, parse, records};
pub use problem::Problem;
pub use request::Request;
pub use response::Response;
pub use route::{Route, get};
pub use service::handle;
pub use sibling::Sibling;
pub use table::{Row, Table, Value};
pub use variable::Variable;

/// The handler that the components export: `main.rs` calls this crate `wasip3`, too.
pub mod exports {
    pub mod http {
        pub mod handler {
            use crate::http::types::{ErrorCode, Request, Response};

            pub trait Guest {
                fn handle(request: Request) -> impl Future<Output = Result<Response, ErrorCode>>;
            }
        }
    }
}

/// What `users` makes its bindings with.
pub mod wit_bindgen {
    pub use crate::generate;
}

pub mod http {
    pub mod types {
        pub use std::convert::Infallible as ErrorCode;

        pub type Request = crate::wasi::RawRequest;
        pub type Response = hyper::Response<http_body_util::Full<hyper::body::Bytes>>;
    }

    pub mod service {
        pub use crate::export;
    }
}

/// Lets `main.rs` call the handler of the module.
#[macro_export]
macro_rules! export {
    ($service:ident) => {
        pub fn handle(
            request: $crate::wasi::RawRequest,
        ) -> futures::future::LocalBoxFuture<'static, $crate::wasi::RawResult> {
            Box::pin(<$service as Guest>::handle(request))
        }
    };
}
