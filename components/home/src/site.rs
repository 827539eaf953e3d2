//! The files of the front page, which are served as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use service_kit::{Problem, Response};

const FOLDER: &str = "components/home/site";

/// The content of each file, by its name.
type Files = BTreeMap<String, Vec<u8>>;

/// Responds with the file `name`.
///
/// # Errors
/// - [`Problem::not_found`] if there is no such file.
/// - [`Problem::internal`] if the files can't be read.
pub fn show(name: &str) -> Result<Response, Problem> {
    let file = files()?
        .get(name)
        .ok_or_else(|| Problem::not_found(format!("There is no file `{name}`.")))?;
    let content_type = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("html") => return Ok(Response::html(file.clone())),
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    Ok(Response::file(content_type, file.clone()))
}

/// All files, read once for each instance. A name is looked up and never becomes a path,
/// so that no request reaches another file.
fn files() -> Result<&'static Files, Problem> {
    static FILES: OnceLock<Result<Files, String>> = OnceLock::new();
    let files = FILES.get_or_init(|| read_files().map_err(|error| error.to_string()));
    files.as_ref().map_err(|error| Problem::internal(format!("can't read {FOLDER}: {error}")))
}

fn read_files() -> io::Result<Files> {
    fs::read_dir(FOLDER)?
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((name, fs::read(entry.path())?))
        })
        .collect()
}
