//! What worker threads do.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use dunlin_access::password::Attempt;
use dunlin_broker::{Control, Question, Refusal, Verdict};

use super::answer::{Allowed, Answer};
use super::bans::{by, save};
use super::book::{Book, Pass, Way};
use super::judge::Entrant;
use super::lane::Bounds;
use super::{Accesses, unix_now};
use crate::shared::{Asked, Parcel};

/// Commands and changes of files that may wait. Each is at most one packet of an administrator.
const TASKS: Bounds = Bounds { threads: 1, queue: 256 };

/// A login that takes longer than a shard may wait.
pub(super) struct Login {
    pub(super) shard: u16,
    pub(super) question: Question,
    pub(super) book: Arc<Book>,
    pub(super) proof: Proof,
    pub(super) since: Instant,
    /// [`Accesses::expulsions`] before anything was looked at.
    pub(super) expulsions: u64,
    /// Whether it was judged before.
    pub(super) again: bool,
}

/// What is to be found out.
pub(super) enum Proof {
    /// Whether the password fits the hash.
    Password {
        attempt: Attempt,
        way: Way,
        /// What it is remembered by, if it is right.
        token: Option<[u8; 32]>,
    },
    /// Whether the token is signed.
    Token,
    /// What the service says.
    Hook,
}

/// What is done one after the other.
pub(super) enum Task {
    /// Commands of an administrator.
    Control { shard: u16, control: Control },
    /// The list of bans has changed. Who waits for it to be written is told.
    SaveBans { told: Option<SyncSender<Result<(), String>>> },
}

impl Accesses {
    /// Gives a login to the workers; if they have enough, why it is refused.
    pub(super) fn send_to_work(self: &Arc<Self>, login: Login) -> Option<Refusal> {
        let settings = &login.book.world.logins;
        let queue = settings.queue as usize;
        let this = Arc::clone(self);
        let is_taken = match (&login.proof, &login.book.world.hook) {
            (Proof::Hook, Some(hook)) => {
                let bounds = Bounds { threads: hook.connections, queue };
                self.hooks.push(login, bounds, move |login| this.work(&login, &|| true)).is_ok()
            }
            _ => {
                let bounds = Bounds { threads: login.book.world.checks, queue };
                let work = move |login: &Login, is_first: &dyn Fn() -> bool| {
                    this.work(login, is_first);
                };
                self.logins.push(login.since, login, bounds, work)
            }
        };
        (!is_taken).then(|| {
            let why = format!("{queue} logins wait already (security.logins.queue)");
            Refusal::Unavailable { by: by(&why) }
        })
    }

    /// Leaves something for the one who does one thing after the other.
    pub(super) fn send_to_desk(self: &Arc<Self>, task: Task) {
        let this = Arc::clone(self);
        if self.desk.push(task, TASKS, move |task| this.settle(task)).is_err() {
            tracing::warn!("a command or a change was dropped: {} wait already", TASKS.queue);
        }
    }

    /// Finds the verdict and tells it, if nobody has found it before.
    fn work(self: &Arc<Self>, login: &Login, is_first: &dyn Fn() -> bool) {
        let Login { shard, question, book, expulsions, .. } = login;
        let waited = Instant::now().duration_since(login.since);
        // The broker has closed the connection by now: what others are still waited for comes first.
        let verdict = if waited > self.patience {
            let why = format!("the login has waited for {} s", waited.as_secs());
            Verdict::Deny(Refusal::Unavailable { by: by(&why) })
        } else {
            self.prove(login)
        };
        if !is_first() {
            return;
        }
        let verdict = self.count_in(book, question, login.again, verdict);
        let (shard, connection) = (*shard, question.connection);
        if let Some(verdict) = self.hold_back(shard, connection, book, verdict) {
            let (question, expulsions) = (question.clone(), *expulsions);
            let asked = Some(Box::new(Asked { question, expulsions }));
            let verdict = Box::new(verdict);
            self.post(shard, Parcel::Answer { connection, verdict, asked });
        }
    }

    /// Finds the verdict, by the book of the time when it was asked for.
    fn prove(&self, login: &Login) -> Verdict {
        let Login { question, book, proof, .. } = login;
        let password = question.password.as_deref();
        match proof {
            Proof::Password { attempt, way, token } => {
                // Found right meanwhile, for another client of the same user.
                let knows = token.as_ref().is_some_and(|token| self.remembered.knows(token));
                let right = knows || attempt.verify(password);
                if let Some(token) = token.filter(|_| right && !knows) {
                    self.remembered.keep(token, book.world.logins.remember);
                }
                self.verified(book, question, right, *way)
            }
            Proof::Token => match (&book.world.tokens, password) {
                (Some(tokens), Some(token)) => self.by_token(book, question, tokens, token),
                _ => Verdict::Deny(Refusal::NotAuthorized { by: None }),
            },
            Proof::Hook => self.by_hook(book, question),
        }
    }

    /// A service that cannot be asked lets nobody in.
    fn by_hook(&self, book: &Book, question: &Question) -> Verdict {
        let world = &book.world;
        let (Some(hook), Some(gate)) = (&world.hook, world.gate(question.entry.number)) else {
            return Verdict::Deny(Refusal::NotAuthorized { by: None });
        };
        match hook.ask(question, &gate.label) {
            Ok(Answer::Allow(allowed)) => {
                let Allowed { username, superuser, groups, roles, grants } = allowed;
                let way = Way::Hook;
                let pass = Pass { way, superuser, groups, roles, grants, ..Pass::default() };
                let username = username.as_deref().or(question.username.as_deref());
                let entrant = Entrant::new(username.map(Arc::from), Arc::new(pass));
                self.admit(book, question, entrant)
            }
            Ok(Answer::Deny) => {
                Verdict::Deny(Refusal::NotAuthorized { by: Some(Arc::clone(&hook.url)) })
            }
            Err(why) => {
                let by = by(&format!("{}: {why}", hook.url));
                Verdict::Deny(Refusal::Unavailable { by })
            }
        }
    }

    fn settle(&self, task: Task) {
        match task {
            Task::Control { shard, control } => self.control(shard, &control),
            Task::SaveBans { told } => {
                let to_save = self.bans.lock().take_to_save(unix_now());
                let saved = to_save.map_or(Ok(()), |(path, text)| save(&path, &text));
                if let Err(why) = &saved {
                    tracing::error!("{why}; they hold until the broker is stopped");
                }
                if let Some(told) = told {
                    // Whoever has gone meanwhile can read it in the log.
                    drop(told.send(saved));
                }
            }
        }
    }
}
