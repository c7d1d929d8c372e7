//! Hostile files, tokens, messages and commands: an answer with a place, in time and memory that follow
//! their size. `SEEDS=10000 cargo test -p dunlin-access --test hostile` tries more of them.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod bodies;
#[path = "../../../../fuzz/harness/measure.rs"]
mod measure;
#[path = "../../../../fuzz/harness/mutation.rs"]
mod mutation;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dunlin_access::Secret;
use dunlin_access::dynsec::Dynsec;
use dunlin_access::jwt::KeySet;
use dunlin_access::scram::{Keys, start};
use measure::bounded;
use mutation::seeds;
use ring::hmac;

const ACLS: &[&str] = &[
    include_str!("../data/mosquitto.acl"),
    "topic read $SYS/#\nuser anna\ntopic readwrite home/#\npattern write $SYS/broker/connection/%c/state\n",
    "user anna\r\ntopic deny home/secret\r\n# end",
];
const ACL_WORDS: &[&str] = &[
    "user ",
    "topic ",
    "pattern ",
    "read ",
    "write ",
    "readwrite ",
    "deny ",
    "%c",
    "%u",
    "+",
    "#",
    "/",
    "\n",
    "\ntopic ",
    "\nuser ",
    "$share/g/",
    "//",
    "+/",
    "\u{FEFF}",
    "\r\n",
];

#[test]
fn acl_files() {
    seeds(300, |mutator| {
        let text = mutator.text(ACLS, ACL_WORDS);
        bounded(text.len(), || bodies::acl(&text));
    });
}

const ROLES: &[&str] = &["\
[users.anna]
roles = [\"reader\"]
groups = [\"staff\"]
rules = [\"readwrite home/anna/#\", \"deny home/anna/secret\"]
[groups.staff]
roles = [\"reader\"]
rules = [\"write inbox\"]
[groups.everyone]
rules = [\"read public/#\"]
[groups.anonymous]
rules = [\"read $SYS/broker/version\"]
[roles.reader]
rules = [\"read a/+/b\", 'read %c/#']
"];
const ROLE_WORDS: &[&str] = &[
    "[users.",
    "[roles.",
    "[[groups]]",
    "rules = ",
    "[[",
    "]]",
    "{",
    "}",
    "\"\"\"",
    "'''",
    "\\u0000",
    "=",
    "roles",
    "groups",
    "anna",
    "\n",
    "deny #",
    "1979-05-27",
    "a.b.c = 1\n",
    "\"x\".",
];

#[test]
fn roles_in_toml() {
    seeds(300, |mutator| {
        let text = mutator.text(ROLES, ROLE_WORDS);
        bounded(text.len(), || bodies::roles(&text));
    });
}

const PASSWORDS: &[&str] = &[
    include_str!("../data/pbkdf2.passwd"),
    include_str!("../data/sha512.passwd"),
    "# staff\nanna:$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\nbob:plain\n",
    "carl:$scram-sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n",
];
const PASSWORD_WORDS: &[&str] = &[
    "$6$",
    "$7$",
    "$argon2id$",
    "$scram-sha-256$",
    "v=19",
    "m=4294967295",
    "t=64",
    "p=1",
    "$",
    ":",
    "anna:",
    "\n",
    "#",
    "AAAA",
    "==",
    "\u{FEFF}",
    "\0",
];

#[test]
fn password_files() {
    seeds(300, |mutator| {
        let text = mutator.text(PASSWORDS, PASSWORD_WORDS);
        bounded(text.len(), || bodies::passwords(&text));
    });
}

const KEYS: &[&str] = &[
    include_str!("../data/jwks.json"),
    include_str!("../data/rsa.pub.pem"),
    include_str!("../data/ec.pub.pem"),
];
const KEY_WORDS: &[&str] = &[
    "\"kty\"",
    "\"oct\"",
    "\"k\"",
    "\"RSA\"",
    "\"n\"",
    "\"e\"",
    "\"EC\"",
    "\"P-256\"",
    "\"alg\"",
    "\"none\"",
    "\"use\"",
    "\"enc\"",
    "\"keys\"",
    "[",
    "]",
    "{",
    "}",
    "-----BEGIN PUBLIC KEY-----",
    "AAAA",
    "==",
    "null",
];

#[test]
fn sets_of_keys() {
    seeds(300, |mutator| {
        let text = mutator.text(KEYS, KEY_WORDS);
        bounded(text.len(), || bodies::keys(&text));
    });
}

const CLAIMS: &[&str] = &[
    r#"{"sub":"anna","exp":1900000060,"nbf":1890000000,"iss":"https://id.example","aud":["mqtt","x"],"client_id":"c1","groups":["staff"],"roles":"reader writer","acl":{"publish":["home/%u/#"],"subscribe":["a","+/b"]}}"#,
    r#"{"sub":"anna","aud":"mqtt","iss":"https://id.example","realm_access":{"roles":["x"]}}"#,
];
const CLAIM_WORDS: &[&str] = &[
    "\"exp\":",
    "\"nbf\":",
    "-1",
    "1e400",
    "1e308",
    "\"acl\":",
    "\"all\":",
    "[",
    "]",
    "{",
    "}",
    "\"#/#\"",
    "null",
    "true",
    "\"\"",
    "\\ud800",
    "\\u0000",
    "\"sub\":",
    ",",
    "\"client_id\":7",
];
const HEADERS: &[&str] = &[
    r#"{"alg":"HS256","typ":"JWT"}"#,
    r#"{"alg":"HS512","kid":"k"}"#,
    r#"{"alg":"RS256","kid":"rsa-1"}"#,
];
const HEADER_WORDS: &[&str] = &[
    "\"none\"",
    "\"crit\":[]",
    "\"HS256\"",
    "\"ES256\"",
    "\"alg\":",
    "\"kid\":",
    "{",
    "}",
    "null",
];

#[test]
fn tokens_that_are_signed_and_tokens_that_are_not() {
    let shared = KeySet::from_secret(Secret::new(bodies::TOKEN_SECRET)).unwrap();
    let (mut all, _) = KeySet::from_jwks("jwks", include_str!("../data/jwks.json")).unwrap();
    all.extend(shared);
    seeds(300, |mutator| {
        // An issuer who is trusted and writes nonsense.
        let header = mutator.text(HEADERS, HEADER_WORDS);
        let claims = mutator.text(CLAIMS, CLAIM_WORDS);
        let algorithm =
            if header.contains("HS512") { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&claims));
        let key = hmac::Key::new(algorithm, bodies::TOKEN_SECRET.as_bytes());
        let signature = hmac::sign(&key, message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        bounded(token.len(), || bodies::token(token.as_bytes(), &all));
        // A client that sends whatever it likes.
        let samples = [token.as_bytes(), bodies::RS256.as_bytes(), bodies::ES256.as_bytes()];
        let any =
            mutator.variant(&samples, &[".", "..", "eyJhbGciOiJub25lIn0", "=", "-", "_", "+"]);
        bounded(any.len(), || bodies::token(&any, &all));
        bounded(claims.len(), || bodies::grants(&claims));
        let grants =
            mutator.text(&[r##"{"publish":["a/#"],"sub":["%u/+"],"all":[]}"##], CLAIM_WORDS);
        bounded(grants.len(), || bodies::grants(&grants));
    });
}

#[test]
fn messages_of_an_exchange() {
    let keys = Keys::create(b"pencil", &mut bodies::sevens);
    let first = "n,,n=anna,r=fyko+d2lbbFgONRv9qkxdawL";
    let secret = Secret::new("of the server");
    let (_, answer) =
        start(first.as_bytes(), |_| Some(keys.clone()), &secret, &mut bodies::sevens).unwrap();
    let nonce = String::from_utf8(answer).unwrap();
    let nonce = nonce.split(',').next().unwrap();
    let last = format!("c=biws,{nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let words = [
        "n,,",
        "y,,",
        "p=tls-unique,,",
        "n,a=b,",
        "m=x,",
        "n=",
        "r=",
        "c=biws",
        "p=",
        "=2C",
        "=3D",
        "=",
        ",",
        "e=x",
    ];
    seeds(600, |mutator| {
        let first = mutator.variant(&[first.as_bytes(), b"y,,n=us=3Der=2C1,r=x"], &words);
        let last = mutator.variant(&[last.as_bytes()], &words);
        bounded(first.len() + last.len(), || bodies::scram(&first, &last, &keys));
    });
}

const DYNSEC: &[&str] = &[
    include_str!("../data/dynsec-init.json"),
    include_str!("../data/dynsec-acl.json"),
    include_str!("../data/dynsec-after-deletions.json"),
];
const DYNSEC_WORDS: &[&str] = &[
    "\"roles\"",
    "\"clients\"",
    "\"groups\"",
    "\"rolename\"",
    "\"admin\"",
    "\"acltype\"",
    "\"priority\"",
    "\"allow\"",
    "\"anonymousGroup\"",
    "\"password\"",
    "\"salt\"",
    "\"iterations\"",
    "null",
    "[",
    "]",
    "{",
    "}",
    "\\u0000",
    "-1",
    "1e300",
    "\"\"",
    "true",
    ",",
    ":",
];

#[test]
fn files_of_dynamic_security() {
    seeds(200, |mutator| {
        let text = mutator.text(DYNSEC, DYNSEC_WORDS);
        bounded(text.len(), || bodies::dynsec_file(&text));
    });
}

#[test]
fn commands_of_dynamic_security() {
    let (state, _) = Dynsec::parse("file", DYNSEC[0]).unwrap();
    // Requests as Debian's tool and plugin exchange them. Those that hash would take all the time.
    let records = include_str!("../data/dynsec-mosquitto-ctrl.jsonl").lines();
    let records = records.chain(include_str!("../data/dynsec-commands.jsonl").lines());
    let requests: Vec<String> = records
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|record| {
            record.get("request").map(|request| match request.as_str() {
                Some(text) => text.to_owned(),
                None => request.to_string(),
            })
        })
        .filter(|request| !request.contains("assword"))
        .collect();
    assert!(requests.len() > 100, "{}", requests.len());
    let samples: Vec<&[u8]> = requests.iter().map(String::as_bytes).collect();
    let words = [
        DYNSEC_WORDS,
        &[
            "\"command\":",
            "\"commands\":[",
            "\"createRole\"",
            "\"addRoleACL\"",
            "\"correlationData\":",
            "\"count\":",
        ],
    ]
    .concat();
    seeds(400, |mutator| {
        let request = mutator.variant(&samples, &words);
        bounded(request.len(), || bodies::dynsec_commands(&request, &state));
    });
}

#[test]
fn lists_of_bans() {
    let samples =
        ["[\n  {\"target\":\"client:meter-7\",\"reason\":\"flapping\",\"until\":1900000060},\n  \
                    {\"target\":\"address:10.0.0.0/8\",\"reason\":\"\"},\n  \
                    {\"target\":\"address:2001:db8::/32\",\"reason\":\"x\"},\n  \
                    {\"target\":\"user:anna\",\"reason\":\"left\",\"until\":1}\n]\n"];
    let words = [
        "\"target\"",
        "\"until\"",
        "client:",
        "user:",
        "address:",
        "/0",
        "/129",
        "::ffff:1.2.3.4/96",
        "null",
        "[",
        "]",
        "{",
        "}",
        "\"",
        ",",
        "-1",
    ];
    seeds(400, |mutator| {
        let text = mutator.text(&samples, &words);
        bounded(text.len(), || bodies::bans(&text));
    });
}
