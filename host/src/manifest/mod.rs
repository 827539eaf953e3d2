//! Reads `spin.toml`, manifest version 2.
//!
//! A key that this host does not support is an error, so that nothing in a
//! manifest is silently ignored.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Deserialize;
use toml::Spanned;

use self::allowed_hosts::AllowedHost;
use self::dependencies::Dependency;
use self::names::{VariableName, by_name, is_component_id};
use crate::error::Error;

pub(crate) mod allowed_hosts;
pub(crate) mod dependencies;
pub(crate) mod names;
pub(crate) mod route;

type Result<T> = std::result::Result<T, Error>;

/// The label of the only database that this host has.
pub const DATABASE: &str = "default";

/// A manifest that was read and checked.
#[derive(Debug)]
pub struct Manifest {
    /// The folder of the manifest; all its paths are relative to it.
    pub dir: PathBuf,
    /// `[application]`
    pub application: Application,
    /// `[variables]`
    pub variables: BTreeMap<String, Variable>,
    /// `[[trigger.http]]`, each with the id of a component of this manifest.
    pub triggers: Vec<Trigger>,
    /// `[component.<id>]`
    pub components: BTreeMap<String, Component>,
    source: Source,
}

/// `[application]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// What the application is called.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "authors", default)]
    _authors: Vec<String>,
    #[serde(rename = "targets", default)]
    _targets: Vec<toml::Value>,
    #[serde(rename = "tool", default)]
    _tool: toml::Table,
}

/// `[variables]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The value where none is given.
    pub default: Option<String>,
    /// Whether there is none, so that one must be given.
    #[serde(default)]
    pub required: bool,
    #[serde(rename = "secret", default)]
    _secret: bool,
    #[serde(rename = "description")]
    _description: Option<String>,
}

/// `[[trigger.http]]`
#[derive(Debug)]
pub struct Trigger {
    /// The id of the component that answers.
    pub component: String,
    /// Where it answers.
    pub route: Route,
}

/// `route`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged, expecting = "a route is a path such as \"/movies/...\", or { private = true }")]
pub enum Route {
    /// A path, perhaps with parameters and a trailing wildcard.
    Public(String),
    /// Reachable by other components only.
    Private(Private),
}

/// `{ private = true }`
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Private {
    private: bool,
}

/// `[component.<id>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The component's binary.
    pub source: Spanned<String>,
    /// One line on what it does, which is printed with its route.
    pub description: Option<String>,
    /// The files that it sees, read-only.
    #[serde(default)]
    pub files: Vec<Spanned<Files>>,
    /// Patterns of files that it does not see all the same.
    #[serde(default)]
    pub exclude_files: Vec<Spanned<String>>,
    /// Whom it may call: patterns, or templates of them.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<Spanned<String>>,
    /// Its environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Its variables: templates of the application's.
    #[serde(default, deserialize_with = "by_name")]
    pub variables: BTreeMap<String, String>,
    /// The databases that it may use.
    #[serde(default)]
    pub sqlite_databases: Vec<Spanned<String>>,
    /// What it is composed with, by the name of the import that it satisfies.
    #[serde(default)]
    pub dependencies: BTreeMap<String, Spanned<Dependency>>,
    /// How its binary is made.
    pub build: Option<Build>,
    #[serde(rename = "tool", default)]
    _tool: toml::Table,
    #[serde(rename = "profile", default)]
    _profile: toml::Table,
}

/// An entry of `files`
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an entry of `files` is a path or pattern, or { source = \"...\", destination = \"/...\" }"
)]
pub enum Files {
    /// A file, a folder or a glob pattern, seen at the path that it has.
    Pattern(String),
    /// A file or a folder, seen elsewhere.
    Placement(Placement),
}

/// `{ source = "...", destination = "/..." }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// The file or folder.
    pub source: String,
    /// Where the component sees it.
    pub destination: String,
}

/// `[component.<id>.build]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The commands that make the binary.
    pub command: Commands,
    /// Where they run, relative to the manifest.
    pub workdir: Option<PathBuf>,
    /// Patterns of the files that the binary is made of, relative to `workdir`.
    #[serde(default)]
    pub watch: Vec<String>,
}

/// `command`
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`command` is a command or an array of commands")]
pub enum Commands {
    /// `"..."`
    One(String),
    /// `["...", "..."]`, one after the other.
    Many(Vec<String>),
}

impl Commands {
    /// The commands, in their order.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(command) => std::slice::from_ref(command),
            Self::Many(commands) => commands,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Toml {
    spin_manifest_version: Spanned<toml::Value>,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<Spanned<VariableName>, Variable>,
    trigger: Triggers,
    #[serde(default)]
    component: BTreeMap<Spanned<String>, Component>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    #[serde(default)]
    http: Vec<TriggerToml>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TriggerToml {
    #[serde(rename = "id")]
    _id: Option<String>,
    component: Spanned<String>,
    route: Spanned<Route>,
}

impl Manifest {
    /// Reads the manifest at `path`, or the `spin.toml` in that folder.
    ///
    /// # Errors
    /// One sentence that says what is wrong in which line of the file.
    pub fn read(path: &Path) -> Result<Self> {
        let path = &if path.is_dir() { path.join("spin.toml") } else { path.to_owned() };
        let text = fs::read_to_string(path)
            .with_context(|| format!("can't read the manifest {}", path.display()));
        Self::parse(path, &text.map_err(Error::Manifest)?)
    }

    /// Reads `text`, the content of the manifest at `path`.
    ///
    /// # Errors
    /// One sentence that says what is wrong in which line.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new(".")).canonicalize();
        let dir = dir.context("the folder of the manifest").map_err(Error::Manifest)?;
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        source.manifest(dir)
    }

    /// Keeps only the components `ids`, and their triggers.
    ///
    /// # Errors
    /// If there is no such component, or one of them names a sibling that is not among
    /// them, as in Spin. A template is not looked at: its variables may say that the
    /// sibling is elsewhere.
    pub fn select(&mut self, ids: &[String]) -> Result<()> {
        let known = || self.components.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        if let Some(id) = ids.iter().find(|id| !self.components.contains_key(*id)) {
            let message = anyhow!("there is no component `{id}` to select; there are {}", known());
            return Err(Error::Manifest(message));
        }
        for (id, component) in self.components.iter().filter(|(id, _)| ids.contains(id)) {
            for host in &component.allowed_outbound_hosts {
                let Ok(allowed) = host.get_ref().parse::<AllowedHost>() else { continue };
                let sibling = allowed.sibling();
                if let Some(sibling) = sibling.filter(|sibling| !ids.contains(sibling)) {
                    let message = format!(
                        "the selected component `{id}` may call `{sibling}`, which is not selected; \
                         select it, too, or name it by a variable"
                    );
                    return Err(self.error(host.span(), message));
                }
            }
        }
        self.components.retain(|id, _| ids.contains(id));
        self.triggers.retain(|trigger| ids.contains(&trigger.component));
        Ok(())
    }

    /// The file of the manifest.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// An error in the bytes `span` of the manifest, with its file and line.
    pub fn error(&self, span: Range<usize>, message: impl Display) -> Error {
        self.source.error(span, message)
    }
}

/// The text of a manifest, which knows the line of each of its bytes.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn manifest(self, dir: PathBuf) -> Result<Manifest> {
        let toml: Toml = toml::from_str(&self.text).map_err(|error| {
            let hint = match error.message().starts_with("unknown field") {
                true => "; remove it, or serve the application with `spin up`",
                false => "",
            };
            self.error(error.span().unwrap_or_default(), format!("{}{hint}", error.message()))
        })?;
        if toml.spin_manifest_version.get_ref().as_integer() != Some(2) {
            let span = toml.spin_manifest_version.span();
            return Err(self.error(span, "spin_manifest_version must be 2"));
        }
        if let Some(id) = toml.component.keys().find(|id| !is_component_id(id.get_ref())) {
            let message = format!(
                "the component id `{}` must be words of lower-case letters and digits, joined by `-`",
                id.get_ref()
            );
            return Err(self.error(id.span(), message));
        }
        let both_or_neither =
            |variable: &&Variable| variable.required == variable.default.is_some();
        if let Some((name, _)) =
            toml.variables.iter().find(|(_, variable)| both_or_neither(variable))
        {
            let message = format!(
                "the variable `{}` must be `required` or have a `default`",
                name.get_ref().0
            );
            return Err(self.error(name.span(), message));
        }
        let hosts = toml.component.values().flat_map(|component| &component.allowed_outbound_hosts);
        for host in hosts.filter(|host| !is_template(host.get_ref())) {
            let parsed = host.get_ref().parse::<AllowedHost>();
            parsed.map_err(|error| self.error(host.span(), error))?;
        }
        let databases = toml.component.values().flat_map(|component| &component.sqlite_databases);
        if let Some(label) = databases.into_iter().find(|label| *label.get_ref() != DATABASE) {
            let message = format!(
                "the database `{}` needs a runtime configuration, which this host does not read; it has `{}`",
                label.get_ref(),
                DATABASE
            );
            return Err(self.error(label.span(), message));
        }
        let variables = toml.variables.into_iter();
        let variables = variables.map(|(name, variable)| (name.into_inner().0, variable)).collect();
        let components = toml.component.into_iter();
        let components: BTreeMap<_, _> =
            components.map(|(id, component)| (id.into_inner(), component)).collect();
        let triggers = toml.trigger.http.into_iter();
        let triggers = triggers.map(|trigger| self.trigger(trigger, &components));
        Ok(Manifest {
            dir,
            application: toml.application,
            variables,
            triggers: triggers.collect::<Result<_>>()?,
            components,
            source: self,
        })
    }

    fn trigger(
        &self,
        trigger: TriggerToml,
        components: &BTreeMap<String, Component>,
    ) -> Result<Trigger> {
        let id = trigger.component.get_ref();
        if !components.contains_key(id) {
            let known: Vec<_> = components.keys().map(String::as_str).collect();
            let message = format!("unknown component `{id}`; there are {}", known.join(", "));
            return Err(self.error(trigger.component.span(), message));
        }
        match trigger.route.get_ref() {
            Route::Private(Private { private: false }) => {
                let message = "`private` can only be true; leave it out and give a path";
                return Err(self.error(trigger.route.span(), message));
            }
            Route::Public(pattern) => route::spec(&route::based(pattern))
                .map(drop)
                .map_err(|error| self.error(trigger.route.span(), error))?,
            Route::Private(_) => {}
        }
        Ok(Trigger { component: trigger.component.into_inner(), route: trigger.route.into_inner() })
    }

    fn error(&self, span: Range<usize>, message: impl Display) -> Error {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::Manifest(anyhow!("{}:{line}: {message}", self.path.display()))
    }
}

/// Whether `text` names a variable of the application.
fn is_template(text: &str) -> bool {
    text.contains("{{")
}
