//! What services call where they are composed: bindings of what they export. The contract
//! is `wit/services.wit`.
//!
//! They are a crate of their own because the macros that export contain `unsafe`, which the
//! workspace forbids in its own code. Whoever imports makes bindings itself: a crate with
//! both would give each component the imports of the other ones.

#![allow(missing_docs, reason = "services.wit has them")]

/// The exports of `movies`.
pub mod movies {
    wasip3::wit_bindgen::generate!({
        path: "wit",
        world: "movies",
        generate_all,
        with: {
            "cinema:movies/catalog@0.1.0/context": service_kit::Context,
            "cinema:movies/catalog@0.1.0/error": service_kit::CallError,
        },
        runtime_path: "wasip3::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "contract::movies",
    });
    pub use exports::cinema::movies::catalog;
}

/// The exports of `bookings`.
pub mod bookings {
    wasip3::wit_bindgen::generate!({
        path: "wit",
        world: "bookings",
        generate_all,
        with: {
            "cinema:bookings/ledger@0.1.0/context": service_kit::Context,
            "cinema:bookings/ledger@0.1.0/error": service_kit::CallError,
        },
        runtime_path: "wasip3::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "contract::bookings",
    });
    pub use exports::cinema::bookings::ledger;
}
