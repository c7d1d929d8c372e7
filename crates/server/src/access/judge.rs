//! From a question to its verdict, or to the worker that finds it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dunlin_access::identifier::IdentifierFault;
use dunlin_access::jwt::Claims;
use dunlin_access::password::{Attempt, Cost};
use dunlin_access::scram::{self, ScramFault};
use dunlin_broker::{Admitted, Question, Refusal, Time, Verdict};
use dunlin_config::model::Identity;

use super::bans::by;
use super::book::{Book, Pass, Way};
use super::tokens::{TokenFault, Tokens, is_token};
use super::work::{Login, Proof};
use super::world::Gate;
use super::{Accesses, unix_now};

/// Who says no to a certificate that was taken back.
pub(super) const REVOKED: &str = "its certificate was revoked (crlfile)";

/// Who comes in, once that is proved.
pub(super) struct Entrant {
    pub(super) username: Option<Arc<str>>,
    pub(super) pass: Arc<Pass>,
    /// The last word of an exchange.
    pub(super) auth_data: Option<Box<[u8]>>,
    pub(super) expires: Option<Time>,
    /// The only client identifier that the proof is for.
    pub(super) only_id: Option<String>,
}

impl Entrant {
    pub(super) const fn new(username: Option<Arc<str>>, pass: Arc<Pass>) -> Self {
        Self { username, pass, auth_data: None, expires: None, only_id: None }
    }
}

/// What is to be done about a question.
enum Step {
    Done(Verdict),
    Work(Box<Proof>),
}

impl From<Refusal> for Step {
    fn from(refusal: Refusal) -> Self {
        Self::Done(Verdict::Deny(refusal))
    }
}

impl Accesses {
    /// Answers a question, unless that takes longer: then the verdict comes as a parcel.
    pub(crate) fn ask(self: &Arc<Self>, shard: u16, question: Question) -> Option<Verdict> {
        self.ask_for(shard, question, false)
    }

    /// The same once more: what was answered first is too old.
    pub(crate) fn ask_again(self: &Arc<Self>, shard: u16, question: Question) -> Option<Verdict> {
        self.ask_for(shard, question, true)
    }

    fn ask_for(self: &Arc<Self>, shard: u16, question: Question, again: bool) -> Option<Verdict> {
        // Before anything is looked at that an expulsion may have changed.
        let expulsions = self.expulsions();
        let book = self.book();
        match self.judge(shard, &book, &question) {
            Step::Done(verdict) => {
                let verdict = self.count_in(&book, &question, again, verdict);
                self.hold_back(shard, question.connection, &book, verdict)
            }
            Step::Work(proof) => {
                let (since, proof) = (Instant::now(), *proof);
                let login = Login { shard, question, book, proof, since, expulsions, again };
                self.send_to_work(login).map(Verdict::Deny)
            }
        }
    }

    /// Counts who comes in, once, for who comes in too often.
    pub(super) fn count_in(
        &self,
        book: &Book,
        question: &Question,
        again: bool,
        verdict: Verdict,
    ) -> Verdict {
        let Verdict::Allow(admitted) = &verdict else { return verdict };
        let id = admitted.client_id.as_deref().unwrap_or(&question.client_id);
        if again || question.again || id.is_empty() {
            return verdict;
        }
        let Some(refusal) = self.bans.lock().connected(id, unix_now()) else { return verdict };
        let label = book.world.gate(question.entry.number).map_or("", |gate| &gate.label);
        tracing::warn!("client {id:?} at listener {label}: {refusal}");
        self.save_bans();
        Verdict::Deny(refusal)
    }

    fn judge(&self, shard: u16, book: &Arc<Book>, question: &Question) -> Step {
        let Some(gate) = book.world.gate(question.entry.number) else {
            return Refusal::NotAuthorized { by: by("this listener is not configured any more") }
                .into();
        };
        if question.client_id.is_empty() && !gate.assigns_ids {
            return Refusal::ClientIdRequired.into();
        }
        let address = Some(question.address.ip());
        let (id, user) = (&question.client_id, question.username.as_deref());
        let banned = self.bans.lock().check(address, id, user, unix_now());
        if let Some(refusal) = banned {
            return refusal.into();
        }
        if question.method.is_some() {
            return Step::Done(self.exchange(shard, book, gate, question));
        }
        if gate.identity != Identity::Login {
            return Step::Done(self.certified(book, gate, question));
        }
        self.logged_in(book, gate, question)
    }

    /// The certificate says who it is, and nothing else is asked, as by Mosquitto.
    fn certified(&self, book: &Book, gate: &Gate, question: &Question) -> Verdict {
        let shown = question.certificate.as_deref();
        let name = shown.and_then(|shown| match gate.identity {
            Identity::Login => None,
            Identity::CommonName => shown.common_name.clone(),
            Identity::Subject => Some(Arc::clone(&shown.subject)),
            Identity::AlternativeName => shown.alternative_name.clone(),
        });
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            let why = "its certificate, if it has shown one, does not say who it is";
            return Verdict::Deny(Refusal::Nameless { by: by(why) });
        };
        let entrant = Entrant::new(Some(name), self.pass(Way::Certificate));
        self.admit(book, question, entrant)
    }

    /// User name and password, or a token in their place.
    fn logged_in(&self, book: &Arc<Book>, gate: &Gate, question: &Question) -> Step {
        let password = question.password.as_deref();
        if let Some(tokens) = &book.world.tokens
            && let Some(token) = password.filter(|password| is_token(password))
        {
            if tokens.is_light() {
                return Step::Done(self.by_token(book, question, tokens, token));
            }
            return Step::Work(Box::new(Proof::Token));
        }
        let Some(user) = question.username.as_deref() else {
            return Step::Done(self.nameless(book, gate, question));
        };
        let dynamic = book.dynamic(question.entry.number);
        let passwords = gate.passwords.as_ref();
        if let Some(dynamic) = dynamic.filter(|dynamic| dynamic.contains(user)) {
            let attempt = dynamic.attempt(user, &question.client_id);
            return self.by_password(book, question, attempt, Way::Dynamic);
        }
        if let Some(passwords) = passwords.filter(|passwords| passwords.file.contains(user)) {
            return self.by_password(book, question, passwords.file.attempt(user), Way::Password);
        }
        if book.world.hook.is_some() {
            return Step::Work(Box::new(Proof::Hook));
        }
        // Nobody knows this user. It is found out as slowly as if somebody did.
        if let Some(passwords) = passwords {
            let attempt = match dynamic {
                Some(dynamic) => dynamic.attempt_beside(&passwords.file, user),
                None => passwords.file.attempt(user),
            };
            return self.by_password(book, question, attempt, Way::Password);
        }
        if let Some(dynamic) = dynamic {
            let attempt = dynamic.attempt(user, &question.client_id);
            return self.by_password(book, question, attempt, Way::Dynamic);
        }
        if book.world.tokens.is_some() {
            return Refusal::Token { why: "the password is not a token".into() }.into();
        }
        if gate.anonymous {
            let entrant = Entrant::new(Some(user.into()), self.pass(Way::Open));
            return Step::Done(self.admit(book, question, entrant));
        }
        let why = "no password file is set, so nobody can log in (password_file)";
        Refusal::NotAuthorized { by: by(why) }.into()
    }

    fn nameless(&self, book: &Book, gate: &Gate, question: &Question) -> Verdict {
        if gate.anonymous {
            self.admit(book, question, Entrant::new(None, self.pass(Way::Open)))
        } else {
            Verdict::Deny(Refusal::Anonymous)
        }
    }

    fn by_password(&self, book: &Book, question: &Question, attempt: Attempt, way: Way) -> Step {
        let user = question.username.as_deref().unwrap_or_default();
        let password = question.password.as_deref();
        if attempt.cost() == Cost::Light {
            let right = attempt.verify(password);
            return Step::Done(self.verified(book, question, right, way));
        }
        let remembers = !book.world.logins.remember.is_zero();
        let password = password.filter(|_| remembers);
        let token = password.and_then(|given| self.remembered.token(&attempt, user, given));
        if token.is_some_and(|token| self.remembered.knows(&token)) {
            return Step::Done(self.verified(book, question, true, way));
        }
        Step::Work(Box::new(Proof::Password { attempt, way, token }))
    }

    /// The password was compared.
    pub(super) fn verified(
        &self,
        book: &Book,
        question: &Question,
        right: bool,
        way: Way,
    ) -> Verdict {
        if !right {
            let gate = book.world.gate(question.entry.number);
            let passwords = gate.and_then(|gate| gate.passwords.as_ref());
            let by = match way {
                Way::Dynamic => by("dynamic security"),
                _ => passwords.map(|passwords| Arc::clone(&passwords.name)),
            };
            return Verdict::Deny(Refusal::BadUserNameOrPassword { by });
        }
        let user = question.username.as_deref().map(Arc::from);
        self.admit(book, question, Entrant::new(user, self.pass(way)))
    }

    pub(super) fn by_token(
        &self,
        book: &Book,
        question: &Question,
        tokens: &Tokens,
        token: &[u8],
    ) -> Verdict {
        let now = unix_now();
        match tokens.open(token, now) {
            Ok(Claims { user, client_id, groups, roles, grants, expires, origin }) => {
                let (way, origin) = (Way::Token, Some(origin));
                let pass = Pass { way, groups, roles, grants, origin, ..Pass::default() };
                let mut entrant = Entrant::new(Some(user.into()), Arc::new(pass));
                entrant.only_id = client_id;
                entrant.expires = expires.map(|expires| {
                    let left = Duration::from_secs(expires.saturating_sub(now));
                    self.clock.now().saturating_add(left)
                });
                self.admit(book, question, entrant)
            }
            Err(TokenFault::Invalid(why)) => {
                Verdict::Deny(Refusal::Token { why: why.to_string().into() })
            }
            Err(TokenFault::NoKeys(url)) => Verdict::Deny(Refusal::Unavailable { by: by(&url) }),
        }
    }

    /// An authentication method: SCRAM-SHA-256, whose steps cost microseconds here.
    fn exchange(&self, shard: u16, book: &Book, gate: &Gate, question: &Question) -> Verdict {
        if question.method.as_deref() != Some(scram::METHOD) || !book.world.scram {
            // [MQTT-4.12.0-1]
            return Verdict::Deny(Refusal::AuthenticationMethod);
        }
        let passwords = gate.passwords.as_ref();
        let refuse = |fault: ScramFault| {
            let file = passwords.map(|passwords| &*passwords.name).unwrap_or_default();
            let why = match fault {
                ScramFault::Refused => by(file),
                fault => by(&fault.to_string()),
            };
            Verdict::Deny(Refusal::BadUserNameOrPassword { by: why })
        };
        let of = (shard, question.connection);
        let data = question.data.as_deref().unwrap_or_default();
        if question.step == 0 {
            let lookup = |user: &str| passwords?.file.scram_keys(user).cloned();
            return match self.exchanges.start(of, data, lookup) {
                Ok(Some(answer)) => Verdict::Continue(answer.into()),
                Ok(None) => Verdict::Deny(Refusal::Unavailable {
                    by: by("too many exchanges are under way"),
                }),
                Err(fault) => refuse(fault),
            };
        }
        let only = question.username.as_deref().filter(|_| question.again);
        match self.exchanges.finish(of, data, only) {
            Ok(accepted) => {
                let user = Some(accepted.user.as_str().into());
                let mut entrant = Entrant::new(user, self.pass(Way::Password));
                entrant.auth_data = Some(accepted.data.into());
                self.admit(book, question, entrant)
            }
            Err(fault) => refuse(fault),
        }
    }

    /// It is who it says; what is left is whether that one may use this client identifier, now.
    pub(super) fn admit(&self, book: &Book, question: &Question, entrant: Entrant) -> Verdict {
        let Entrant { username, pass, auth_data, expires, only_id } = entrant;
        let Some(gate) = book.world.gate(question.entry.number) else {
            return Verdict::Deny(Refusal::NotAuthorized { by: None });
        };
        if gate.takes_back(question.certificate.as_deref()) {
            return Verdict::Deny(Refusal::NotAuthorized { by: by(REVOKED) });
        }
        let sent = &*question.client_id;
        if only_id.is_some_and(|only| only != sent) {
            let by = by("the token is for another client identifier");
            return Verdict::Deny(Refusal::IdentifierPolicy { by });
        }
        let mut client_id = None;
        if !question.again {
            match gate.identifiers.apply(sent, username.as_deref()) {
                Ok(chosen) => client_id = (*chosen != *sent).then(|| Box::from(&*chosen)),
                Err(fault @ IdentifierFault::NoUser) => {
                    let by = by(&fault.to_string());
                    return Verdict::Deny(Refusal::NotAuthorized { by });
                }
                Err(fault) => {
                    let by = by(&fault.to_string());
                    return Verdict::Deny(Refusal::IdentifierPolicy { by });
                }
            }
        }
        let now = unix_now();
        let id = client_id.as_deref().unwrap_or(sent);
        let banned = self.bans.lock().check(None, id, username.as_deref(), now);
        if let Some(refusal) = banned {
            return Verdict::Deny(refusal);
        }
        Verdict::Allow(Admitted { username, client_id, claims: Some(pass), auth_data, expires })
    }
}
