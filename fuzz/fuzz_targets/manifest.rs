//! The manifest of an application: reading any text gives a manifest, or an error
//! that names a line of the file.

#![no_main]

use host::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Manifest::parse("spin.toml".as_ref(), text) {
        let error = format!("{error:#}");
        let line = error.strip_prefix("spin.toml:").and_then(|rest| rest.split(':').next());
        let line: usize = line.and_then(|line| line.parse().ok()).expect(&error);
        assert!((1..=text.lines().count() + 1).contains(&line), "{error}");
    }
});
