//! Files whose change is a reason to reload.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dunlin_config::Loaded;
use dunlin_config::model::Access;

/// Files and what they looked like.
pub(super) struct Watched(Vec<(PathBuf, Look)>);

/// Enough to tell that a file is another: when it was written, its length, or that there is none.
type Look = Option<(SystemTime, u64)>;

impl Watched {
    /// All files of a configuration as they are now.
    pub(super) fn new(loaded: &Loaded) -> Self {
        let config = &loaded.config;
        let mut paths: Vec<PathBuf> = loaded.files.iter().map(PathBuf::from).collect();
        add_access(&mut paths, &config.security.access);
        let jwt = &config.security.jwt;
        paths.extend(jwt.public_key_file.iter().chain(&jwt.jwks_file).cloned());
        for listener in &config.listeners {
            add_access(&mut paths, &listener.access);
            let tls = &listener.tls;
            let files = [&tls.certfile, &tls.keyfile, &tls.cafile, &tls.capath, &tls.crlfile];
            paths.extend(files.into_iter().flatten().cloned());
        }
        // A new file in a directory that is included changes the directory.
        let directories: Vec<_> =
            loaded.files.iter().skip(1).filter_map(|file| Path::new(file).parent()).collect();
        paths.extend(directories.into_iter().map(Path::to_path_buf));
        paths.sort();
        paths.dedup();
        Self::look_at(paths)
    }

    /// The same files as they are now.
    pub(super) fn again(&self) -> Self {
        Self::look_at(self.0.iter().map(|(path, _)| path.clone()).collect())
    }

    pub(super) fn has_changed(&self) -> bool {
        self.0.iter().any(|(path, before)| look(path) != *before)
    }

    fn look_at(paths: Vec<PathBuf>) -> Self {
        Self(
            paths
                .into_iter()
                .map(|path| (look(&path), path))
                .map(|(look, path)| (path, look))
                .collect(),
        )
    }
}

fn look(path: &Path) -> Look {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn add_access(paths: &mut Vec<PathBuf>, access: &Access) {
    // Not the file of dynamic security, which the broker writes itself.
    paths.extend(access.password_file.iter().chain(&access.acl_file).cloned());
}
