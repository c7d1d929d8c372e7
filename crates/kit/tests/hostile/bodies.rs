//! What is done with hostile files of the kit. libFuzzer runs these too.

use std::path::Path;

use dunlin_access::Severity;
use dunlin_access::password::PasswordFile;
use dunlin_kit::cert::{Chain, Facts, Name, Request, is_for, names, stem, verify, warnings};
use dunlin_kit::files::find_user;

pub(crate) const NOW: u64 = 1_795_280_700;

/// PEM that may be a chain: read, described, judged against itself.
pub(crate) fn chain(pem: &[u8]) {
    let chain = match Chain::parse(Path::new("file.pem"), pem) {
        Ok(chain) => chain,
        Err(why) => {
            let told = why.to_string();
            assert!(told.contains("file.pem") && told.len() < 2_000, "{} bytes", told.len());
            return;
        }
    };
    facts(chain.first());
    drop(verify(&chain, &chain, NOW));
    let name = Name::parse("localhost").expect("a name");
    let fits = is_for(&chain, &name);
    assert!(!fits || Facts::parse(chain.first()).is_some(), "it has names that cannot be read");
}

/// A certificate as DER.
pub(crate) fn facts(der: &[u8]) {
    if let Some(facts) = Facts::parse(der) {
        for now in [0, NOW, u64::MAX] {
            assert!(warnings(&facts, now).len() < 100);
        }
    }
}

/// A list of devices: names that can be names of files and holders.
pub(crate) fn devices(text: &str) {
    match names(Path::new("devices.csv"), text) {
        Ok(found) => {
            for name in found {
                assert!(!name.is_empty());
                let stem = stem(&name);
                assert!(!stem.contains('/') && !stem.starts_with('.'), "{stem}");
                drop(Request::client(&name, &[], 1));
            }
        }
        Err(why) => {
            let told = why.to_string();
            assert!(told.contains("devices.csv") && told.contains("line "), "{told}");
        }
    }
    for line in text.lines() {
        drop(Name::parse(line));
    }
}

/// The users of the system, among whom that of the service is looked for.
pub(crate) fn users(text: &str) {
    assert!(find_user(text, "dunlin").is_none() || text.contains("dunlin"));
    // The same file taken for one of passwords tells lines, and no user.
    let (_, faults) = PasswordFile::parse("passwd", text);
    assert!(faults.iter().all(|fault| fault.line > 0 || fault.severity == Severity::Warning));
}
