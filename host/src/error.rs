//! What can go wrong between a manifest and a server.

/// Why an application can't be built, loaded or served. Each message says what is wrong, and
/// what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifest can't be read, or one of its lines is wrong, which the message names.
    #[error("{0:#}")]
    Manifest(anyhow::Error),
    /// A build command failed.
    #[error("{0:#}")]
    Build(anyhow::Error),
    /// A component, a file or a value of a variable is missing or wrong.
    #[error("{0:#}")]
    Load(anyhow::Error),
    /// The server can't have its address, or the system has no thread for it.
    #[error("{0:#}")]
    Serve(anyhow::Error),
    /// The files of the application can't be watched.
    #[error("{0:#}")]
    Watch(anyhow::Error),
    /// The environment asks for an export of traces that this host does not have.
    #[error("{0:#}")]
    Traces(anyhow::Error),
}

impl Error {
    /// Keeps `error` if it is one of these already, and wraps it as `kind` otherwise.
    pub(crate) fn or_kind(error: anyhow::Error, kind: fn(anyhow::Error) -> Self) -> Self {
        error.downcast().unwrap_or_else(kind)
    }
}
