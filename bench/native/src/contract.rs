//! The crate `contract` of the components, without WebAssembly: the types and functions of
//! `contract/wit/services.wit`, for services in one process.

pub mod movies {
    pub mod catalog {
        use crate::{CallError, Context};

        pub struct Movie {
            pub id: String,
            pub title: String,
            pub rating: String,
        }

        pub type Movies = Result<Vec<Movie>, CallError>;

        pub trait Guest {
            fn get_movies(context: Context, ids: Vec<String>) -> impl Future<Output = Movies>;
            fn top(context: Context, limit: u32) -> impl Future<Output = Movies>;
        }
    }

    pub use crate::export_catalog as export;
}

pub mod bookings {
    pub mod ledger {
        use crate::{CallError, Context};

        pub struct Booked {
            pub date: String,
            pub movies: Vec<String>,
        }

        pub type Bookings = Result<Vec<Booked>, CallError>;

        pub trait Guest {
            fn bookings_of(context: Context, username: String) -> impl Future<Output = Bookings>;
        }
    }

    pub use crate::export_ledger as export;
}

/// Makes functions of what `movies` exports.
#[macro_export]
macro_rules! export_catalog {
    ($service:ident) => {
        pub mod functions {
            use $crate::Context;
            pub use $crate::movies::catalog::*;

            pub async fn get_movies(context: Context, ids: Vec<String>) -> Movies {
                super::$service::get_movies(context, ids).await
            }

            pub async fn top(context: Context, limit: u32) -> Movies {
                super::$service::top(context, limit).await
            }
        }
    };
}

/// Makes functions of what `bookings` exports.
#[macro_export]
macro_rules! export_ledger {
    ($service:ident) => {
        pub mod functions {
            use $crate::Context;
            pub use $crate::bookings::ledger::*;

            pub async fn bookings_of(context: Context, username: String) -> Bookings {
                super::$service::bookings_of(context, username).await
            }
        }
    };
}

/// Makes these functions the bindings of `users`.
#[expect(clippy::crate_in_macro_def, reason = "it is used in the crate of main.rs")]
#[macro_export]
macro_rules! generate {
    ($($options:tt)*) => {
        mod cinema {
            pub mod movies {
                pub use crate::movies::wit::functions as catalog;
            }
            pub mod bookings {
                pub use crate::bookings::wit::functions as ledger;
            }
        }
    };
}
