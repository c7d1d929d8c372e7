//! Which package may use which: the arrows of the architecture.

use std::process::Command;

use serde::Deserialize;

use crate::Findings;
use crate::source::Repository;

/// Package, what of this workspace it may use, and whether it stays free of the outside world.
const ALLOWED: &[(&str, &[&str], World)] = &[
    ("dunlin-proto", &[], World::Pure),
    ("dunlin-broker", &["dunlin-proto"], World::Pure),
    ("dunlin-access", &["dunlin-proto"], World::Pure),
    // Its disk is a trait; the implementation beside it is what makes it free.
    ("dunlin-config", &["dunlin-proto", "dunlin-broker"], World::Free),
    ("dunlin-kit", &["dunlin-proto", "dunlin-access", "dunlin-config"], World::Free),
    ("dunlin-lab", &["dunlin-proto"], World::Pure),
    ("dunlin-store", &["dunlin-proto", "dunlin-broker"], World::Free),
    ("dunlin-client", &["dunlin-proto"], World::Free),
    (
        "dunlin-server",
        &[
            "dunlin-proto",
            "dunlin-broker",
            "dunlin-access",
            "dunlin-config",
            "dunlin-store",
            "dunlin-client",
            "dunlin-lab",
        ],
        World::Free,
    ),
    (
        "dunlin",
        // The broker's records and the store: `ctl` reads and writes stores without a server.
        &[
            "dunlin-proto",
            "dunlin-broker",
            "dunlin-access",
            "dunlin-config",
            "dunlin-kit",
            "dunlin-store",
            "dunlin-server",
            "dunlin-client",
            "dunlin-lab",
        ],
        World::Free,
    ),
    (
        "dunlin-testkit",
        &[
            "dunlin-proto",
            "dunlin-broker",
            "dunlin-access",
            "dunlin-config",
            "dunlin-store",
            "dunlin-client",
            "dunlin-server",
            "dunlin-lab",
        ],
        World::Free,
    ),
    ("xtask", &[], World::Free),
];

/// Whether a package may touch sockets, files, threads and clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    /// It is given time, bytes and chance as arguments.
    Pure,
    /// It may.
    Free,
}

/// What a pure package must not depend on.
const OUTSIDE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rustix",
    "libc",
    "async-std",
    "smol",
    "rand",
    "getrandom",
    "chrono",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

pub(crate) fn check(repository: &Repository) -> Findings {
    let metadata = match metadata(repository) {
        Ok(metadata) => metadata,
        Err(why) => return vec![format!("Cargo.toml:1: cargo metadata: {why}")],
    };
    metadata.packages.iter().flat_map(check_package).collect()
}

fn metadata(repository: &Repository) -> Result<Metadata, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(repository.path(""))
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

fn check_package(package: &Package) -> Findings {
    let name = &package.name;
    let Some((_, allowed, world)) = ALLOWED.iter().find(|(known, ..)| known == name) else {
        return vec![format!("xtask/src/directions.rs:1: {name} is not in the table")];
    };
    let mut findings = Findings::new();
    for dependency in &package.dependencies {
        let other = &dependency.name;
        if dependency.path.is_some() && !allowed.contains(&other.as_str()) {
            findings.push(format!("Cargo.toml:1: {name} must not use {other}"));
        }
        let shipped = dependency.kind.as_deref() != Some("dev");
        if *world == World::Pure && shipped && OUTSIDE.contains(&other.as_str()) {
            findings.push(format!("Cargo.toml:1: {name} is pure and must not use {other}"));
        }
    }
    findings
}
