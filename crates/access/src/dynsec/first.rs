//! The file that is made where none is, with the clients, groups and roles of Mosquitto 2.1.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::Random;
use crate::dynsec::state::{
    Acl, AclType, Client, Dynsec, Group, NO_PRIORITY, Role, Texts, new_password,
};

/// What may do all that there is to administer.
const ADMIN: &str = "admin";
/// A client to begin with, which may do everything but administer.
const DEMO: &str = "democlient";
/// The group of those who come without a user name. It has no roles.
const ANONYMOUS: &str = "unauthenticated";

/// Letters of passwords that are made: without those that are taken for each other.
const LETTERS: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// 22 of 56 letters are 127 bits.
const LENGTH: usize = 22;

const SEND: AclType = AclType::PublishClientSend;
const RECEIVE: AclType = AclType::PublishClientReceive;
const SUBSCRIBE: AclType = AclType::SubscribePattern;
const UNSUBSCRIBE: AclType = AclType::UnsubscribePattern;
const ALL: &[AclType] = &[SEND, RECEIVE, SUBSCRIBE, UNSUBSCRIBE];

/// Name, purpose, and what is allowed on which topics.
const ROLES: [(&str, &str, &[AclType], &str); 7] = [
    ("client", "May send, receive and subscribe to all topics of applications.", ALL, "#"),
    ("broker-admin", "May change the configuration of the broker.", ALL, "$CONTROL/broker/#"),
    ("dynsec-admin", "May change clients, groups and roles.", ALL, "$CONTROL/dynamic-security/#"),
    ("super-admin", "May change everything that can be changed.", ALL, "$CONTROL/#"),
    ("sys-notify", "May tell the state of a bridge.", &[SEND], "$SYS/broker/connection/%c/state"),
    ("sys-observe", "May read what the broker says about itself.", &[RECEIVE, SUBSCRIBE], "$SYS/#"),
    (
        "topic-observe",
        "May read all topics of applications.",
        &[RECEIVE, SUBSCRIBE, UNSUBSCRIBE],
        "#",
    ),
];

impl Dynsec {
    /// One client that may administer and see all, with the password; and with a second password another
    /// one, which may use all topics.
    #[must_use]
    pub fn first(admin: &[u8], demo: Option<&[u8]>, random: &mut Random<'_>) -> Self {
        let mut state = Self::default();
        for (name, purpose, kinds, topic) in ROLES {
            let texts = Texts { description: Some(purpose.into()), ..Texts::default() };
            let mut role = Role { texts, ..Role::default() };
            for &kind in kinds {
                role.insert(kind, Acl::new(topic.into(), 0, true));
            }
            state.roles.insert(name.into(), role);
        }
        let mut client = |name: &str, password: &[u8], purpose: &str, roles: &[&str]| {
            let password = Some(Arc::new(new_password(password, random)));
            let texts = Texts { name: Some(purpose.into()), ..Texts::default() };
            let mut client = Client { password, texts, ..Client::default() };
            for role in roles {
                client.roles.insert(role, NO_PRIORITY);
            }
            state.clients.insert(name.into(), client);
        };
        let roles = ["super-admin", "sys-observe", "topic-observe"];
        client(ADMIN, admin, "Administrator", &roles);
        if let Some(demo) = demo {
            client(DEMO, demo, "May use all topics", &["client"]);
        }
        let name = Some("Clients without a user name".into());
        let texts = Texts { name, ..Texts::default() };
        state.groups.insert(ANONYMOUS.into(), Group { texts, ..Group::default() });
        state.anonymous_group = Some(ANONYMOUS.into());
        state
    }

    /// The users of [`Dynsec::first`], for who writes down their passwords.
    pub const FIRST: [&str; 2] = [ADMIN, DEMO];
}

/// A password that nobody can guess.
pub fn make_password(random: &mut Random<'_>) -> Zeroizing<String> {
    let mut password = Zeroizing::new(String::with_capacity(LENGTH));
    let mut bytes = Zeroizing::new([0; LENGTH]);
    while password.len() < LENGTH {
        random(&mut *bytes);
        // Each letter is as likely as any other: 224 is four times 56.
        let letters = bytes.iter().filter(|byte| **byte < 224);
        let letters = letters.filter_map(|byte| LETTERS.get(usize::from(byte % 56)));
        password.extend(letters.map(|letter| char::from(*letter)));
    }
    password.truncate(LENGTH);
    password
}
