//! Whether certificates can be used today, and will be renewed.

use std::path::{Path, PathBuf};

use dunlin_config::model::Listener;

use super::Findings;
use super::subject::{Subject, loose_mode};
use crate::cert::{Chain, Facts, PrivateKey, date, read_list_end, verify, warnings};

/// The fifth rule.
pub(super) fn in_order(subject: &Subject<'_>, findings: &mut Findings) {
    let mut any = false;
    for listener in subject.listeners() {
        let Some(tls) = listener.tls() else { continue };
        any = true;
        for (certificate, key) in pairs(listener) {
            pair(subject, listener, &certificate, &key, findings);
        }
        if let Some(path) = &tls.cafile {
            authorities(subject, listener, path, findings);
        }
        if let Some(path) = &tls.crlfile {
            revocations(subject, listener, path, findings);
        }
    }
    if !any && subject.outer().next().is_some() {
        findings.broken(
            None,
            "there is no certificate",
            "`dunlin init DIR`, or `dunlin cert ca` and `dunlin cert server NAME`, make some",
        );
    }
    if any && subject.config.alarms.certificate_expiry.is_zero() {
        findings.broken(
            subject.general("alarms.certificate_expiry"),
            "nobody is told before a certificate expires",
            "certificate_expiry = \"30d\"",
        );
    }
}

fn pairs(listener: &Listener) -> Vec<(PathBuf, PathBuf)> {
    let tls = &listener.tls;
    let own = tls.certfile.clone().zip(tls.keyfile.clone());
    let others = tls.sni.iter().map(Path::new);
    let others = others.map(|path| (path.join("fullchain.pem"), path.join("privkey.pem")));
    own.into_iter().chain(others).collect()
}

fn pair(
    subject: &Subject<'_>,
    listener: &Listener,
    certificate: &Path,
    key: &Path,
    findings: &mut Findings,
) {
    let (at, key_at) = (subject.place(listener, "certfile"), subject.place(listener, "keyfile"));
    let pair = Chain::read(certificate).map(|chain| (Facts::parse(chain.first()), chain));
    let read = PrivateKey::read(key);
    if let Err(error) = &read {
        findings.broken(key_at.clone(), error.to_string(), "name the key of the certificate");
    }
    if let Some(what) = loose_mode(key) {
        let change =
            format!("chmod 600 {0}, and chown {0} to the user of the broker", key.display());
        findings.broken(key_at.clone(), what, change);
    }
    let (facts, chain) = match pair {
        Ok((Some(facts), chain)) => (facts, chain),
        Ok((None, _)) => return,
        Err(error) => {
            return findings.broken(at, error.to_string(), "name the certificate of the server");
        }
    };
    if read.is_ok_and(|key| !chain.has_key(&key)) {
        let what = format!("{} is not the key of {}", key.display(), certificate.display());
        findings.broken(key_at, what, "name the two that belong together");
    }
    for warning in warnings(&facts, subject.now) {
        let what = format!("{}: {warning}", certificate.display());
        let change = "`dunlin cert server NAME...` makes one with all names that clients use";
        findings.broken(at.clone(), what, change);
    }
    if facts.is_self_signed {
        findings.hint(
            at,
            format!(
                "{} is signed by itself: every client must be told when it changes",
                certificate.display()
            ),
            "`dunlin cert ca` makes an authority, which clients trust for ten years",
        );
    } else if let Some(ca) = listener.tls.cafile.as_deref().and_then(|path| Chain::read(path).ok())
    {
        // The authority of clients need not be that of the server.
        let is_same =
            facts.issuer == Facts::parse(ca.first()).map(|ca| ca.subject).unwrap_or_default();
        if let (true, Err(why)) = (is_same, verify(&chain, &ca, subject.now)) {
            findings.broken(at, format!("{}: {why}", certificate.display()), "sign it again");
        }
    }
}

fn authorities(subject: &Subject<'_>, listener: &Listener, path: &Path, findings: &mut Findings) {
    let at = subject.place(listener, "cafile");
    let chain = match Chain::read(path) {
        Ok(chain) => chain,
        Err(error) => {
            return findings.broken(at, error.to_string(), "name the authority of the clients");
        }
    };
    for facts in chain.all().filter_map(|der| Facts::parse(der)) {
        for warning in warnings(&facts, subject.now) {
            let what = format!("{} ({}): {warning}", path.display(), facts.subject);
            findings.broken(at.clone(), what, "make a new authority, and all that it signs");
        }
    }
    let key = path.with_extension("key");
    if key.exists() {
        findings.hint(
            None,
            format!("{} is on this machine: whoever has it can let anybody in", key.display()),
            "keep it elsewhere; the broker does not need it",
        );
    }
}

fn revocations(subject: &Subject<'_>, listener: &Listener, path: &Path, findings: &mut Findings) {
    let at = subject.place(listener, "crlfile");
    match read_list_end(path) {
        Err(error) => findings.broken(at, error.to_string(), "`dunlin cert revoke` writes a list"),
        Ok(Some(end)) if end <= subject.now => findings.broken(
            at,
            format!(
                "{} expired on {}: no client with a certificate can connect",
                path.display(),
                date(end)
            ),
            "`dunlin cert revoke` without a certificate signs the list anew",
        ),
        Ok(_) => {}
    }
}
