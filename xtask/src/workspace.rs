//! The workspace as `cargo metadata` describes it: packages, features, test targets and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::step::Step;

/// Library crates, those that exist so far: what users depend on, and what must build everywhere.
pub(crate) const LIBRARIES: [&str; 5] =
    ["forge-alloc-core", "forge-os", "forge-alloc", "forge-malloc", "forge-trace"];

/// Features that need a nightly compiler or a C compiler, by the start of their name.
const NOT_PORTABLE: [&str; 2] = ["nightly", "contestants"];

/// Returns the directory of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// One package of the dependency graph.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The SPDX expression, if the package states one, or names a file with a text that is known.
    pub(crate) license: Option<String>,
    /// Where it comes from; `None` for a path inside the workspace.
    pub(crate) source: Option<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// Names of the integration tests.
    pub(crate) tests: Vec<String>,
    pub(crate) rust_version: Option<String>,
    /// Names of the packages that depend on it directly.
    pub(crate) dependents: BTreeSet<String>,
    pub(crate) member: bool,
}

impl Package {
    /// Returns the features that work with a stable compiler and no C compiler, without `default`.
    pub(crate) fn portable_features(&self) -> Vec<&str> {
        let names = self.features.keys().map(String::as_str);
        names.filter(|name| *name != "default" && self.is_portable(name, 0)).collect()
    }

    fn is_portable(&self, feature: &str, depth: usize) -> bool {
        let own_name = feature.rsplit(['/', ':']).next().unwrap_or(feature);
        let named_well = !NOT_PORTABLE.iter().any(|start| own_name.starts_with(start));
        let implied = self.features.get(feature).into_iter().flatten();
        // A cycle of features is legal; its depth cannot exceed their number.
        named_well
            && (depth > self.features.len()
                || implied.into_iter().all(|next| self.is_portable(next, depth + 1)))
    }
}

/// The dependency graph with all features of all members.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

impl Workspace {
    /// Asks cargo. Fails if the manifests do not parse or the lock file does not match them.
    pub(crate) fn load() -> Result<Self, String> {
        let step = Step::cargo().args(["metadata", "--format-version", "1", "--all-features", "--locked"]);
        let text = step
            .read()
            .ok_or("`cargo metadata --all-features --locked` failed: is Cargo.lock up to date?")?;
        Self::parse(&text)
    }

    /// Reads the output of `cargo metadata`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| format!("cargo metadata: {error}"))?;
        let members: Vec<&str> = array(&json["workspace_members"]).filter_map(Value::as_str).collect();
        let mut names = BTreeMap::new();
        let mut packages = Vec::new();
        for item in array(&json["packages"]) {
            let id = item["id"].as_str().unwrap_or_default();
            let package = package(item, members.contains(&id));
            names.insert(id, package.name.clone());
            packages.push((id, package));
        }
        for node in array(&json["resolve"]["nodes"]) {
            let Some(dependent) = node["id"].as_str().and_then(|id| names.get(id)) else { continue };
            let needed: Vec<&str> = array(&node["dependencies"]).filter_map(Value::as_str).collect();
            for (_, package) in packages.iter_mut().filter(|(id, _)| needed.contains(id)) {
                package.dependents.insert(dependent.clone());
            }
        }
        Ok(Self { packages: packages.into_iter().map(|(_, package)| package).collect() })
    }

    /// Returns the members of the workspace.
    pub(crate) fn members(&self) -> Vec<&Package> {
        self.packages.iter().filter(|package| package.member).collect()
    }

    /// Returns the library crates among the members.
    pub(crate) fn libraries(&self) -> Vec<&Package> {
        self.members().into_iter().filter(|package| LIBRARIES.contains(&package.name.as_str())).collect()
    }

    /// Returns `--features a/x,a/y,b/z`: every portable feature of the given members but the capacities, of which the largest
    /// one would count for all.
    pub(crate) fn all_portable(packages: &[&Package]) -> [String; 2] {
        let features = packages.iter().flat_map(|package| {
            let features = package.portable_features().into_iter();
            let added = features.filter(|feature| !feature.starts_with("page-alloc-"));
            added.map(move |feature| format!("{}/{feature}", package.name))
        });
        ["--features".into(), features.collect::<Vec<_>>().join(",")]
    }
}

fn package(item: &Value, member: bool) -> Package {
    let text = |key: &str| item[key].as_str().map(String::from);
    let strings =
        |value: &Value| array(value).filter_map(Value::as_str).map(String::from).collect::<Vec<_>>();
    let features = item["features"].as_object().into_iter().flatten();
    let is_test = |target: &&Value| array(&target["kind"]).any(|kind| kind == "test");
    Package {
        name: text("name").unwrap_or_default(),
        version: text("version").unwrap_or_default(),
        license: text("license").or_else(|| licence_of_file(&text("manifest_path")?, &text("license_file")?)),
        source: text("source"),
        features: features.map(|(name, implied)| (name.clone(), strings(implied))).collect(),
        tests: array(&item["targets"])
            .filter(is_test)
            .filter_map(|target| target["name"].as_str())
            .map(String::from)
            .collect(),
        rust_version: text("rust_version"),
        dependents: BTreeSet::new(),
        member,
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns whether one of the directories of `path` has a file of this name.
pub(crate) fn is_on_path(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(program).is_file())
}

/// Returns the licence whose text is in a file beside the manifest, where a package names the file and not the licence.
fn licence_of_file(manifest: &str, file: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(manifest).parent()?.join(file)).ok()?;
    licence_of_text(&text).map(String::from)
}

/// Returns the name of a licence by the title of its text, its first line.
fn licence_of_text(text: &str) -> Option<&'static str> {
    let title = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let known = [("MIT License", "MIT"), ("The MIT License (MIT)", "MIT")];
    known.iter().find(|(first, _)| title == *first).map(|(_, licence)| *licence)
}

#[cfg(test)]
mod tests;
