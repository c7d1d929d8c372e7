//! What whoever runs the server can do about access while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dunlin_access::ban::{Ban, BanFault, Target};
use dunlin_access::dynsec::Dynsec;
use dunlin_broker::{End, Present, Refusal};
use dunlin_config::Config;
use dunlin_config::model::Identity as ConfiguredIdentity;

use super::bans::Banned;
use super::book::{Book, Pass, Way, pass_of};
use super::judge::REVOKED;
use super::load::read;
use super::work::Task;
use super::world::DynamicFile;
use super::{Accesses, Expulsion, Fault, Missing, World, bans, unix_now};
use crate::start::Handle;

impl Handle {
    /// Reads everything anew that says who may connect and what they may do, and lets it hold, all at
    /// once. Connections that would not be let in any more are closed with the reason.
    ///
    /// # Errors
    /// All that is wrong, with file and line; then everything stays as it was.
    pub fn replace_access(&self, config: &Config) -> Result<(), Vec<Fault>> {
        self.install_access(World::load(config, Missing::Refuse)?);
        Ok(())
    }

    /// The second half of [`Self::replace_access`], for who has loaded the world before, to be sure that
    /// everything else can be applied too.
    pub fn install_access(&self, world: World) {
        self.shared.accesses.replace(world);
    }

    /// Keeps a client out: `client:ID`, `user:NAME` or `address:RANGE`, for a time or for ever. Those who are
    /// connected by that name, or from there, are disconnected. The ban is in its file then.
    ///
    /// # Errors
    /// The target is none, or there are too many bans; or it cannot be written, and ends with the process.
    pub fn ban(
        &self,
        target: &str,
        reason: &str,
        duration: Option<Duration>,
    ) -> Result<(), String> {
        let target = parse(target)?;
        self.shared.accesses.ban(target, reason, duration)?;
        self.shared.accesses.keep_bans()
    }

    /// Lifts a ban; false if there was none.
    ///
    /// # Errors
    /// The target is none; or the list cannot be written, and the ban is back with the next process.
    pub fn unban(&self, target: &str) -> Result<bool, String> {
        let target = parse(target)?;
        let accesses = &self.shared.accesses;
        let removed = accesses.bans.lock().remove(&target);
        if removed {
            accesses.keep_bans()?;
        }
        Ok(removed)
    }

    /// All bans that have not ended.
    #[must_use]
    pub fn bans(&self) -> Vec<Banned> {
        self.shared.accesses.bans.lock().all(unix_now())
    }
}

impl Accesses {
    /// The bans are written soon.
    pub(super) fn save_bans(&self) {
        if let Some(shared) = self.shared.get().and_then(std::sync::Weak::upgrade) {
            shared.accesses.send_to_desk(Task::SaveBans { told: None });
        }
    }

    /// The bans are written when this returns: what an operator was told holds, whatever becomes of the process.
    fn keep_bans(&self) -> Result<(), String> {
        let Some(shared) = self.shared.get().and_then(std::sync::Weak::upgrade) else {
            return Ok(());
        };
        let (told, saved) = sync_channel(1);
        shared.accesses.send_to_desk(Task::SaveBans { told: Some(told) });
        let saved = saved.recv().unwrap_or_else(|_| Err("too much waits to be written".into()));
        saved.map_err(|why| format!("{why}; it holds until the broker is stopped"))
    }

    /// Two clients take an identifier from each other: that one is kept out as if it were flapping, where
    /// that is watched for.
    pub(crate) fn note_fight(&self, client: &str, addresses: [SocketAddr; 2]) {
        let Some(time) = self.bans.lock().time_for_fights() else { return };
        let [one, other] = addresses.map(|address| address.ip().to_canonical());
        if one == other {
            // It may be one client whose connections break; how often it comes is counted.
            return;
        }
        let reason = format!("two clients fight for it, from {one} and {other}");
        match self.ban(Target::ClientId(client.into()), &reason, Some(time)) {
            Ok(()) => {
                self.save_bans();
                tracing::warn!("client {client:?} is banned for {} s: {reason}", time.as_secs());
            }
            Err(why) => {
                tracing::warn!("client {client:?}: {reason}, and it cannot be banned: {why}")
            }
        }
    }

    fn ban(&self, target: Target, reason: &str, duration: Option<Duration>) -> Result<(), String> {
        let now = unix_now();
        let until = duration.map(|duration| now.saturating_add(duration.as_secs().max(1)));
        let ban = Ban { reason: reason.into(), until };
        let mut bans = self.bans.lock();
        bans.insert(target.clone(), ban, now)?;
        drop(bans);
        self.begin_asking();
        let seconds = until.map(|until| u32::try_from(until - now).unwrap_or(u32::MAX));
        let refusal = Refusal::Banned { seconds, by: bans::by(reason) };
        let kicked = move |present: &Present<'_>| {
            let Present { who, address, .. } = present;
            let is_meant = match &target {
                Target::ClientId(id) => **id == *who.client_id,
                Target::User(name) => who.username.as_deref() == Some(name),
                Target::Address(network) => network.contains(address.ip()),
            };
            is_meant.then(|| End::Refused(refusal.clone()))
        };
        let whom: Expulsion = Arc::new(kicked);
        self.expel(&whom);
        Ok(())
    }

    /// What a file of dynamic security holds: a command may have changed it since it was loaded.
    fn latest(old: &Book, file: &DynamicFile) -> Arc<Dynsec> {
        let known = old.world.dynamics.iter().any(|known| known.path == file.path);
        let read = known.then(|| read(&file.path).ok()).flatten();
        let read = read.and_then(|text| Dynsec::parse("", &text).ok());
        read.map_or_else(|| Arc::clone(&file.state), |(state, _)| Arc::new(state))
    }

    /// Another world holds from now on.
    fn replace(self: &Arc<Self>, world: World) {
        let changing = self.changing.lock();
        let old = self.book();
        if let (Some(new), Some(old)) = (&world.tokens, &old.world.tokens)
            && let (Some(new), Some(old)) = (&new.remote, &old.remote)
        {
            new.inherit(old);
        }
        let mut bans = self.bans.lock();
        bans.set_limits(world.flapping);
        bans.set_file(world.bans.clone());
        drop(bans);
        for fault in world.warnings() {
            tracing::warn!("{fault}");
        }
        let dynamics = world.dynamics.iter().map(|file| Self::latest(&old, file)).collect();
        let asks = world.asks();
        self.turn_page(Arc::new(world), dynamics);
        drop(changing);
        if asks {
            self.begin_asking();
        }
        self.remembered.forget();
        let new = self.book();
        self.fetch_keys(&new.world);
        self.ended.notify_all();
        let whom: Expulsion = Arc::new(move |present| outdated(&old, &new, present));
        self.expel(&whom);
    }
}

fn parse(target: &str) -> Result<Target, String> {
    target.parse().map_err(|why: BanFault| why.to_string())
}

/// Why a connection cannot stay that was let in under an older book.
fn outdated(old: &Book, new: &Book, present: &Present<'_>) -> Option<End> {
    let who = present.who;
    let not_any_more =
        |why: &str| Some(End::Refused(Refusal::NoLongerAllowed { by: bans::by(why) }));
    let Some(gate) = new.world.gate(who.listener) else {
        return not_any_more("its listener is not configured any more");
    };
    let before = old.world.gate(who.listener);
    let pass = pass_of(who);
    if gate.takes_back(present.certificate) {
        return not_any_more(REVOKED);
    }
    let way = pass.map_or(Way::Open, |pass| pass.way);
    let Some(user) = who.username.as_deref() else {
        let is_welcome = gate.anonymous && gate.identity == ConfiguredIdentity::Login;
        let stays = is_welcome || way != Way::Open;
        return if stays { None } else { Some(End::Refused(Refusal::Anonymous)) };
    };
    let stays = match way {
        Way::Open => {
            let world = &new.world;
            let is_checked = gate.passwords.is_some()
                || gate.dynamic.is_some()
                || world.hook.is_some()
                || world.tokens.is_some();
            gate.anonymous && !is_checked && gate.identity == ConfiguredIdentity::Login
        }
        Way::Password => {
            let before = before.and_then(|gate| gate.passwords.as_ref());
            let now = gate.passwords.as_ref();
            before.zip(now).is_some_and(|(before, now)| before.file.same_password(&now.file, user))
        }
        Way::Dynamic => {
            let (before, now) = (old.dynamic(who.listener), new.dynamic(who.listener));
            before.zip(now).is_some_and(|(before, now)| now.same_login(before, user))
        }
        Way::Certificate => before.is_some_and(|before| before.identity == gate.identity),
        Way::Token => {
            return distrusted(old, new, pass).and_then(not_any_more);
        }
        Way::Hook => new.world.hook.is_some(),
    };
    if stays { None } else { not_any_more("its login does not hold any more") }
}

/// Why a token that was valid under an older book is not valid under this one.
fn distrusted(old: &Book, new: &Book, pass: Option<&Pass>) -> Option<&'static str> {
    let Some(tokens) = &new.world.tokens else { return Some("tokens are not taken any more") };
    let before = old.world.tokens.as_deref();
    let origin = pass.and_then(|pass| pass.origin.as_ref());
    match before.zip(origin) {
        Some((before, origin)) => tokens.distrust(before, origin),
        None => Some("nobody knows any more who has made its token"),
    }
}
