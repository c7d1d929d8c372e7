//! Who may read and write what: asked of the same rules that the broker asks.

use dunlin_access::acl::{Action, Rules, Source, Subscribing, Who};
use dunlin_access::password::PasswordFile;
use dunlin_config::model::Listener;

use super::Findings;
use super::passwords::list;
use super::subject::Subject;
use crate::files;

/// A topic that no rule is about, unless it is about all topics.
const ANY_TOPIC: &str = "dunlin-audit-5b1f/some/topic";

/// A user that no rule is about, unless it is about all users.
const ANY_USER: &str = "dunlin-audit-5b1f";

/// The fourth rule.
pub(super) fn ruled(subject: &Subject<'_>, findings: &mut Findings) {
    for listener in subject.listeners() {
        let access = subject.access(listener);
        let is_dynamic = access.dynamic_security_file.is_some();
        if access.acl_file.is_none() && subject.config.definitions.is_none() {
            if !is_dynamic {
                findings.broken(
                    subject.place(listener, "port"),
                    format!(
                        "whoever gets into {} may read and write every topic",
                        listener.label()
                    ),
                    "acl_file, for example with `pattern readwrite devices/%u/#`",
                );
            }
            continue;
        }
        judge(subject, listener, findings);
    }
}

fn judge(subject: &Subject<'_>, listener: &Listener, findings: &mut Findings) {
    let access = subject.access(listener);
    let place = subject.access_place(listener, "acl_file");
    let mut sources = Vec::new();
    let file =
        access.acl_file.as_ref().map(|path| (path.display().to_string(), files::read_text(path)));
    let text;
    if let Some((name, read)) = &file {
        text = match read {
            Ok(text) => text.as_str(),
            Err(error) => {
                return findings.broken(
                    place,
                    error.to_string(),
                    "name the file that has the rules",
                );
            }
        };
        sources.push(Source::AclFile { name, text });
    }
    if let Some(definitions) = &subject.config.definitions {
        sources.push(Source::Toml { name: &definitions.file, text: definitions.text.expose() });
    }
    let rules = match Rules::compile(0, &sources, Subscribing::Checked) {
        Ok(rules) => rules,
        Err(faults) => {
            for fault in faults {
                findings.broken(Some(fault.file.to_string()), fault.to_string(), "repair the rule");
            }
            return;
        }
    };
    let anybody = Who { user: Some(ANY_USER), client_id: ANY_USER, ..Who::default() };
    open_to(&rules, &anybody, "every user", findings);
    if subject.is_anonymous(listener) {
        let nobody = Who { user: None, client_id: ANY_USER, ..Who::default() };
        open_to(&rules, &nobody, "every client without a user name", findings);
    }
    if let Some(path) = &access.password_file
        && let Ok(text) = files::read_text(path)
    {
        let (users, _) = PasswordFile::parse("", &text);
        mighty(&rules, &users, place, findings);
    }
}

/// Whether somebody of whom no rule speaks may use a topic of which no rule speaks.
fn open_to(rules: &Rules, who: &Who<'_>, whom: &str, findings: &mut Findings) {
    for (action, word) in [(Action::Publish, "write"), (Action::Deliver, "read")] {
        let verdict = rules.check(who, action, ANY_TOPIC);
        if verdict.allowed {
            findings.broken(
                verdict.rule.map(|rule| rule.to_string()),
                format!("{whom} may {word} every topic"),
                "name the topics, or begin them with %u, the user name",
            );
        }
    }
}

/// Whether more than one user may write everything: one administrates, the others are devices.
fn mighty(rules: &Rules, users: &PasswordFile, place: Option<String>, findings: &mut Findings) {
    let may = |user: &str| {
        let who = Who { user: Some(user), client_id: ANY_USER, ..Who::default() };
        rules.check(&who, Action::Publish, ANY_TOPIC).allowed
    };
    let mighty: Vec<&str> = users.users().map(|(user, _)| user).filter(|user| may(user)).collect();
    if mighty.len() > 1 {
        findings.hint(
            place,
            format!("{} may write every topic", list(&mighty)),
            "give devices the topics that they need, and one user for administration all of them",
        );
    }
}
