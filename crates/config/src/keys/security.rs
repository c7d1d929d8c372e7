//! Who may connect and what they may do, on all listeners.

use super::{Key, keys};
use crate::model::Config;

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Config>] = keys! { Config;
    "security.allow_anonymous" security.access.allow_anonymous, "", AtOnce,
        "Whether clients may come without a user name. Default: only if no listener is configured, and then only from this machine.";
    "security.password_file" security.access.password_file, "", AtOnce,
        "User names and hashes of their passwords, as `dunlin passwd` and `mosquitto_passwd` write them. Default: none.";
    "security.acl_file" security.access.acl_file, "", AtOnce,
        "Who may read and write which topics, in Mosquitto's form. Default: none, and then everybody may everything.";
    "security.dynamic_security_file" security.access.dynamic_security_file, "", AtOnce,
        "Users, roles and groups that change at run time by `$CONTROL/dynamic-security/v1`, in the form of Mosquitto's plugin. Default: none. If there is no such file at start, one is made, with an `admin`.";
    "security.dynamic_security_password_file" security.access.dynamic_security_password_file, "", Restart,
        "The password of `admin`, if the file of dynamic security has to be made. Default: that of the variable `MOSQUITTO_DYNSEC_PASSWORD`, else one is made up and written beside it, into a file whose name ends in `.pw`.";
    "security.allow_empty_client_id" security.access.allow_empty_client_id, "", NewConnections,
        "Whether an empty client identifier is given one. Default: yes, as the standard allows.";
    "security.assigned_id_prefix" security.access.assigned_id_prefix, "", NewConnections,
        "What client identifiers begin with that are given. Default: `auto-`, as Mosquitto.";
    "security.client_id_prefixes" security.access.client_id_prefixes, "", NewConnections,
        "What a client identifier must begin with: one of these. Default: anything.";
    "security.scram" security.scram, "", NewConnections,
        "Whether SCRAM-SHA-256 is offered to 5.0 clients. Off: the password file must hold SCRAM keys.";
    "security.client_id_user" security.client_id_user, "", NewConnections,
        "How client identifiers and user names belong together: `equal`, or `begins` so that a user has several clients. `free`: devices have identifiers of their own.";
    "security.logins.queue" security.logins.queue, "logins", AtOnce,
        "How many logins may wait for `limits.password_checks`; further ones are refused as busy. 10000: all devices of a large site at once.";
    "security.logins.remember" security.logins.remember, "time", AtOnce,
        "How long a password is remembered that was right, as a keyed hash in memory, so that clients that come back cost nothing; 0 for not at all. 5m: outlasts a failure of the network.";
    "security.logins.delay" security.logins.delay, "time", AtOnce,
        "How long the answer to a wrong password, token or unknown user is put off, at most half of `limits.connect_timeout`. No thread waits with it. 0s: what slows guessing down is the hash, and `limits.connections_per_address`; each refusal that waits holds a connection.";
    "security.denied_publish" security.denied_publish, "", AtOnce,
        "What a publish that is not allowed does to a client before 5.0, which cannot be told a reason. It is acknowledged and goes nowhere, as in Mosquitto.";
    "security.denied_subscribe" security.denied_subscribe, "", AtOnce,
        "What a subscription is answered with whose topics may not be read. It is granted and nothing is delivered, as in Mosquitto.";

    "security.jwt.secret" security.jwt.secret, "", AtOnce,
        "The shared secret of tokens signed with HS256, HS384 or HS512. Default: none.";
    "security.jwt.public_key_file" security.jwt.public_key_file, "", AtOnce,
        "The public key of tokens signed with RS256 or ES256, PEM. Default: none.";
    "security.jwt.jwks_file" security.jwt.jwks_file, "", AtOnce,
        "Public keys of tokens, JWKS. Default: none.";
    "security.jwt.jwks_url" security.jwt.jwks_url, "", AtOnce,
        "Where public keys of tokens are fetched from, JWKS. Default: nowhere.";
    "security.jwt.jwks_refresh" security.jwt.jwks_refresh, "time", AtOnce,
        "Between two fetches; if one fails, the last keys go on being used. 5m: how soon a new key is known.";
    "security.jwt.issuer" security.jwt.issuer, "", AtOnce,
        "What the claim `iss` must be. Default: anything.";
    "security.jwt.audience" security.jwt.audience, "", AtOnce,
        "What the claim `aud` must hold. Default: anything.";
    "security.jwt.leeway" security.jwt.leeway, "time", AtOnce,
        "How far the clocks of issuer and broker may differ. 30s: machines without time synchronisation drift.";
    "security.jwt.username_claim" security.jwt.username_claim, "", AtOnce,
        "The claim that is the user name. `sub`, as the standard of tokens intends.";
    "security.jwt.acl_claim" security.jwt.acl_claim, "", AtOnce,
        "The claim that holds the topics that may be used. Default: none, the other rules hold.";

    "security.http.url" security.http.url, "", AtOnce,
        "A service that is asked who may connect. Default: none.";
    "security.http.timeout" security.http.timeout, "time", AtOnce,
        "How long it may take; after that the client is refused. 5s: shorter than the patience of clients.";
    "security.http.connections" security.http.connections, "questions" from 1 to 65_535, Restart,
        "How many questions it is asked at once. 8: enough for a thousand logins a second at 8 ms each.";
    "security.http.token" security.http.token, "", AtOnce,
        "What is sent to it as `Authorization: Bearer`. Default: nothing.";

    "security.bans.file" security.bans.file, "", Restart,
        "Where bans outlive the process. Default: `bans.json` beside the store, and nowhere if nothing is kept.";
    "security.bans.flapping_connects" security.bans.flapping_connects, "connects", AtOnce,
        "How many connects within the window are flapping; 0 turns it off. Off: a test that connects often is no attack.";
    "security.bans.flapping_window" security.bans.flapping_window, "time", AtOnce,
        "The window in which connects are counted. 1m.";
    "security.bans.flapping_ban" security.bans.flapping_ban, "time", AtOnce,
        "How long a flapping client is kept out, with the reason 0x8A. 5m.";
};
