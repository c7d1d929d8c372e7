//! The compiled rules.

use std::collections::HashMap;
use std::sync::Arc;

use crate::acl::index::{Found, Index, RuleId};
use crate::acl::table::Membership;
use crate::acl::{Access, Action, Entry, RuleRef, Scope, Verdict, Who, file, filter, table};
use crate::fault::{Fault, Severity};

/// Of the roles and of the groups of a client so many are asked: the lists in tokens come from outside.
const NAMES_MAX: usize = 64;

/// Where rules come from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A file as Mosquitto reads it with `acl_file`.
    AclFile {
        /// What it is called in messages.
        name: &'a str,
        /// What is in it.
        text: &'a str,
    },
    /// A dunlin.toml, of which `[users]`, `[groups]` and `[roles]` are read.
    Toml {
        /// What it is called in messages.
        name: &'a str,
        /// What is in it.
        text: &'a str,
    },
}

/// What becomes of a SUBSCRIBE to what the client may not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Subscribing {
    /// It is granted, and what may not be read is not delivered: Mosquitto's way.
    #[default]
    Granted,
    /// It is refused when nothing that it could match may be read.
    Checked,
}

/// Rules of all clients, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    generation: u64,
    /// No file was given: everything is allowed.
    open: bool,
    subscribing: Subscribing,
    files: Vec<Arc<str>>,
    rules: Vec<Rule>,
    anonymous: Party,
    users: HashMap<Box<str>, Party>,
    groups: HashMap<Box<str>, Party>,
    roles: HashMap<Box<str>, Index>,
    everyone: Option<Index>,
    warnings: Vec<Fault>,
}

/// A user, a group, or all who gave no user name.
#[derive(Debug, Clone, Default)]
struct Party {
    own: Option<Index>,
    member: Membership,
}

#[derive(Debug, Clone)]
struct Rule {
    filter: Box<str>,
    line: u32,
    file: u16,
    access: Access,
    allow: bool,
    template: bool,
}

/// Topic filters that a client may use by itself, as a token grants them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// What it may publish to.
    pub publish: Vec<String>,
    /// What it may read.
    pub subscribe: Vec<String>,
}

/// What is asked, and for whom.
#[derive(Clone, Copy)]
struct Question<'a> {
    who: &'a Who<'a>,
    action: Action,
    topic: &'a str,
}

/// What the rules of one step say.
#[derive(Default)]
struct Finding {
    deny: Option<RuleId>,
    allow: Option<RuleId>,
}

impl Rules {
    /// Rules that allow everything, as without an ACL file.
    #[must_use]
    pub fn open(generation: u64) -> Self {
        Self { generation, open: true, ..Self::default() }
    }

    /// Reads and compiles the sources. The generation is a number that the caller never used before; it
    /// lets caches notice new rules. Without sources everything is allowed.
    ///
    /// # Errors
    /// Something in the sources is wrong; all of it is told.
    pub fn compile(
        generation: u64,
        sources: &[Source<'_>],
        subscribing: Subscribing,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut compiled =
            Self { generation, open: sources.is_empty(), subscribing, ..Self::default() };
        let mut scopes: HashMap<Scope, Vec<RuleId>> = HashMap::new();
        for source in sources {
            let (name, entries) = match *source {
                Source::AclFile { name, text } => {
                    let name: Arc<str> = name.into();
                    let entries = file::parse(&name, text, &mut faults);
                    (name, entries)
                }
                Source::Toml { name, text } => {
                    let name: Arc<str> = name.into();
                    let table = table::parse(&name, text, &mut faults);
                    for (scope, member) in table.members {
                        compiled.party(&scope).member.join(member);
                    }
                    (name, table.entries)
                }
            };
            compiled.files.push(name);
            for entry in entries {
                compiled.add(entry, &mut scopes);
            }
        }
        if faults.iter().any(|fault| fault.severity == Severity::Error) {
            return Err(faults);
        }
        for (scope, ids) in scopes {
            let rules = &compiled.rules;
            let filters: Vec<_> = ids.iter().map(|&id| (id, &*rules[id as usize].filter)).collect();
            let index = Index::new(&filters);
            match scope {
                Scope::Everyone => compiled.everyone = Some(index),
                Scope::Role(name) => {
                    compiled.roles.insert(name.into(), index);
                }
                Scope::Anonymous | Scope::User(_) | Scope::Group(_) => {
                    compiled.party(&scope).own = Some(index);
                }
            }
        }
        compiled.warnings = faults;
        Ok(compiled)
    }

    fn add(&mut self, entry: Entry, scopes: &mut HashMap<Scope, Vec<RuleId>>) {
        let id = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        let file = u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX);
        let Entry { scope, allow, access, filter, line } = entry;
        let template = filter::is_template(&filter);
        self.rules.push(Rule { filter: filter.into(), line, file, access, allow, template });
        scopes.entry(scope).or_default().push(id);
    }

    fn party(&mut self, scope: &Scope) -> &mut Party {
        match scope {
            Scope::User(name) => self.users.entry(name.as_str().into()).or_default(),
            Scope::Group(name) => self.groups.entry(name.as_str().into()).or_default(),
            Scope::Anonymous | Scope::Role(_) | Scope::Everyone => &mut self.anonymous,
        }
    }

    /// The number given at compiling.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether everything is allowed because there are no rules at all.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// How many rules there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules; unless [`Rules::is_open`], everything is denied then.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What was found odd at compiling.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Whether `who` may do `action`. For [`Action::Subscribe`] the topic is the filter, without
    /// `$share/NAME/`.
    #[must_use]
    pub fn check(&self, who: &Who<'_>, action: Action, topic: &str) -> Verdict<'_> {
        match self.decide(who, action, topic) {
            Some(id) => self.verdict(id),
            None => Verdict { allowed: self.without_rule(action), rule: None },
        }
    }

    /// The rule that decides, if one does; else [`Rules::without_rule`] holds.
    pub(super) fn decide(&self, who: &Who<'_>, action: Action, topic: &str) -> Option<RuleId> {
        if self.without_rule(action) {
            return None;
        }
        let question = Question { who, action, topic };
        self.own(question).decision().or_else(|| {
            // With a wildcard for a name, a client could match what is another's; Mosquitto then
            // grants nothing by patterns, whether or not they contain the name.
            if filter::acts_as_wildcard(who) {
                return None;
            }
            let mut finding = Finding::default();
            self.ask(self.everyone.as_ref(), question, &mut finding);
            finding.decision()
        })
    }

    /// What holds when no rule decides.
    pub(super) const fn without_rule(&self, action: Action) -> bool {
        match action {
            Action::Unsubscribe => true,
            Action::Subscribe => self.open || matches!(self.subscribing, Subscribing::Granted),
            Action::Publish | Action::Deliver | Action::Will => self.open,
        }
    }

    pub(super) fn verdict(&self, id: RuleId) -> Verdict<'_> {
        if id == TOKEN {
            return Verdict { allowed: true, rule: Some(RuleRef { file: "token", line: 0 }) };
        }
        let rule = &self.rules[id as usize];
        let file = self.files.get(usize::from(rule.file)).map_or("", |file| &**file);
        Verdict { allowed: rule.allow, rule: Some(RuleRef { file, line: rule.line }) }
    }

    /// What is said for this client: its section, roles, groups and token.
    fn own(&self, question: Question<'_>) -> Finding {
        let mut finding = Finding::default();
        let who = question.who;
        let party = who.user.map_or(Some(&self.anonymous), |user| self.users.get(user));
        if let Some(party) = party {
            self.ask(party.own.as_ref(), question, &mut finding);
            self.ask_roles(&party.member.roles, question, &mut finding);
            self.ask_groups(&party.member.groups, question, &mut finding);
        }
        self.ask_roles(who.roles, question, &mut finding);
        self.ask_groups(who.groups, question, &mut finding);
        if finding.allow.is_none() && who.grants.is_some_and(|grants| grants.allow(question)) {
            finding.allow = Some(TOKEN);
        }
        finding
    }

    fn ask_roles(&self, roles: &[String], question: Question<'_>, finding: &mut Finding) {
        for role in roles.iter().take(NAMES_MAX) {
            self.ask(self.roles.get(role.as_str()), question, finding);
        }
    }

    fn ask_groups(&self, groups: &[String], question: Question<'_>, finding: &mut Finding) {
        for group in groups.iter().take(NAMES_MAX) {
            if let Some(party) = self.groups.get(group.as_str()) {
                self.ask(party.own.as_ref(), question, finding);
                self.ask_roles(&party.member.roles, question, finding);
            }
        }
    }

    fn ask(&self, index: Option<&Index>, question: Question<'_>, finding: &mut Finding) {
        let Some(index) = index else { return };
        let Question { who, action, topic } = question;
        if action == Action::Subscribe {
            index.all(&mut |id| {
                let rule = &self.rules[id as usize];
                if rule.speaks_of_filter(who, topic) {
                    finding.take(id, rule);
                }
            });
            return;
        }
        let access = match action {
            Action::Publish | Action::Will => Access::WRITE,
            Action::Deliver | Action::Subscribe | Action::Unsubscribe => Access::READ,
        };
        index.find(topic, &mut |found| {
            let (id, matches) = match found {
                Found::Matches(id) => (id, true),
                Found::Compare(id) => (id, self.rules[id as usize].matches(who, topic)),
            };
            let rule = &self.rules[id as usize];
            if matches && rule.access.includes(access) {
                finding.take(id, rule);
            }
        });
    }
}

/// Stands for "the token of the client" among the numbers of rules.
const TOKEN: RuleId = RuleId::MAX;

impl Finding {
    /// The first of each kind, so that the answer does not depend on the index.
    fn take(&mut self, id: RuleId, rule: &Rule) {
        let place = if rule.allow { &mut self.allow } else { &mut self.deny };
        *place = Some(place.map_or(id, |first| first.min(id)));
    }

    /// A denial wins.
    fn decision(&self) -> Option<RuleId> {
        self.deny.or(self.allow)
    }
}

impl Rule {
    fn matches(&self, who: &Who<'_>, topic: &str) -> bool {
        if !filter::same_dollar(&self.filter, topic) {
            return false;
        }
        if !self.template {
            return filter::covers(&self.filter, topic);
        }
        self.expanded_for(who).is_some_and(|filter| filter::covers(&filter, topic))
    }

    /// A denial speaks of a subscription that it covers, a grant of one that it overlaps: the rest is
    /// held back at delivery.
    fn speaks_of_filter(&self, who: &Who<'_>, wanted: &str) -> bool {
        if !self.access.includes(Access::READ) || !filter::same_dollar(&self.filter, wanted) {
            return false;
        }
        let Some(filter) = self.expanded_for(who) else { return false };
        if self.allow {
            // `#` and `+/x` reach no topic with `$`.
            let reaches = !wanted.starts_with(['+', '#']) || !self.filter.starts_with('$');
            reaches && filter::overlap(&filter, wanted)
        } else {
            filter::covers(&filter, wanted)
        }
    }

    /// A name with a wildcard may make a denial wider, never a grant.
    fn expanded_for(&self, who: &Who<'_>) -> Option<std::borrow::Cow<'_, str>> {
        if self.template && self.allow && filter::acts_as_wildcard(who) {
            return None;
        }
        filter::expand(&self.filter, who)
    }
}

impl Grants {
    fn allow(&self, question: Question<'_>) -> bool {
        let Question { who, action, topic } = question;
        let filters = match action {
            Action::Publish | Action::Will => &self.publish,
            Action::Deliver | Action::Subscribe | Action::Unsubscribe => &self.subscribe,
        };
        filters.iter().any(|filter| {
            let rule = Rule {
                filter: filter.as_str().into(),
                line: 0,
                file: 0,
                access: Access::BOTH,
                allow: true,
                template: filter::is_template(filter),
            };
            match action {
                Action::Subscribe => rule.speaks_of_filter(who, topic),
                Action::Publish | Action::Deliver | Action::Unsubscribe | Action::Will => {
                    rule.matches(who, topic)
                }
            }
        })
    }
}
