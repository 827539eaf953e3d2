//! The `service-kit` of the components, without WebAssembly: the same files,
//! except that `wasi` sends and receives requests over sockets.

#[path = "../../../service-kit/src/data_file.rs"]
pub mod data_file;
#[path = "../../../service-kit/src/json.rs"]
mod json;
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
#[path = "../../../service-kit/src/unique_keys.rs"]
mod unique_keys;
pub mod wasi;

pub use data_file::{DataFile, Fields, Record, Records};
pub use problem::Problem;
pub use request::Request;
pub use response::Response;
pub use route::{Route, get};
pub use sibling::Sibling;
