//! Services that are asked by HTTP: one that decides about logins, and those that give out keys.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_access::Fault;
use dunlin_broker::Question;
use dunlin_config::Config;
use dunlin_config::value::Secret;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::answer::{Answer, understand};
use super::load::error_of;

/// Where systems keep the authorities that they trust.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// An answer to a login beyond this size is none.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// A service that decides who may connect.
pub(super) struct Hook {
    pub(super) url: Arc<str>,
    /// Questions at once.
    pub(super) connections: usize,
    token: Option<Secret>,
    agent: Agent,
}

impl Hook {
    pub(super) fn new(config: &Config, faults: &mut Vec<Fault>) -> Option<Self> {
        let settings = &config.security.http;
        let url = settings.url.as_ref()?;
        if let Err(why) = check_url(url) {
            faults.push(error_of(config, "security.http.url", &why));
        }
        let connections = usize::from(settings.connections.max(1));
        Some(Self {
            url: url.as_str().into(),
            connections,
            token: settings.token.clone(),
            agent: agent(url, settings.timeout, connections),
        })
    }

    /// Asks about a login. An answer that is not understood is none.
    pub(super) fn ask(&self, question: &Question, listener: &str) -> Result<Answer, String> {
        let body = describe(question, listener).to_string();
        let mut request = self.agent.post(&*self.url).content_type("application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        let mut response = request.send(body).map_err(|cause| told(&cause))?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Ok(Answer::Deny),
            status => return Err(format!("it answered with the status {status}")),
        }
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string();
        let body = body.map_err(|cause| told(&cause))?;
        understand(&body).map_err(Into::into)
    }
}

/// Fetches a text.
pub(super) fn get(url: &str, timeout: Duration, largest: u64) -> Result<String, String> {
    let mut response = agent(url, timeout, 1).get(url).call().map_err(|cause| cause.to_string())?;
    if response.status().as_u16() != 200 {
        return Err(format!("the status is {}", response.status().as_u16()));
    }
    let body = response.body_mut().with_config().limit(largest).read_to_string();
    body.map_err(|cause| cause.to_string())
}

/// Why a service that decides about logins gave no answer.
fn told(cause: &ureq::Error) -> String {
    match cause {
        ureq::Error::Timeout(_) => "no answer in time (security.http.timeout)".into(),
        cause => cause.to_string(),
    }
}

/// Whether it is a URL of a kind that can be asked. One with a password in it is not: the log names who decided
/// by its URL.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let rest = rest.filter(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
    let host = rest
        .ok_or_else(|| {
            format!("`{text}` is no URL: it begins with http:// or https:// and names a host")
        })?
        .split(['/', '?', '#'])
        .next();
    if host.is_some_and(|host| host.contains('@')) {
        return Err("a URL with a user name or password in it would be in the log".into());
    }
    Ok(())
}

fn agent(url: &str, timeout: Duration, connections: usize) -> Agent {
    let mut config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        // A redirection would take passwords to where nobody has sent them.
        .max_redirects(0)
        .max_idle_connections_per_host(connections)
        .user_agent("dunlin");
    if url.starts_with("https://") {
        let provider = rustls::crypto::ring::default_provider();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .root_certs(authorities());
        config = config.tls_config(tls.build());
    }
    config.build().into()
}

/// The authorities that this system trusts, or the file that `SSL_CERT_FILE` names.
fn authorities() -> RootCerts {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let paths = named.iter().map(String::as_str).chain(AUTHORITIES);
    let pem = paths.into_iter().find_map(|path| fs::read(path).ok()).unwrap_or_default();
    let items = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    RootCerts::Specific(Arc::new(items.collect()))
}

/// What the service is told about a login.
fn describe(question: &Question, listener: &str) -> Value {
    let password = question.password.as_deref();
    let text = password.and_then(|password| std::str::from_utf8(password).ok());
    let mut value = json!({
        "client_id": &*question.client_id,
        "username": question.username.as_deref(),
        "password": text,
        "address": question.address.ip().to_string(),
        "port": question.address.port(),
        "listener": listener,
    });
    if let Some(bytes) = password.filter(|_| text.is_none()) {
        value["password_base64"] = STANDARD.encode(bytes).into();
    }
    if let Some(shown) = &question.certificate {
        value["certificate"] = json!({
            "common_name": shown.common_name.as_deref(),
            "subject": &*shown.subject,
            "alternative_name": shown.alternative_name.as_deref(),
        });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_those_of_http() {
        for good in ["http://127.0.0.1:8080/login", "https://example.com", "https://a/b@c"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for wrong in ["ftp://example.com", "https://", "example.com", "https://a b"] {
            assert!(check_url(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
        let secret = check_url("https://anna:hush@example.com/login").unwrap_err();
        assert!(!secret.contains("hush"), "{secret}");
    }
}
