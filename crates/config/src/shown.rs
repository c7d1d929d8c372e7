//! Which tests show what keys of `mosquitto.conf` do, for the reference page and for a test that looks for them.

/// File and name of a test, and the keys whose effect it shows. The first test of a key is the one that is named.
pub const TESTS: &[(&str, &str, &[&str])] = &[
    (
        KEYS,
        "connack_says_what_keys_allow",
        &[
            "max_inflight_messages",
            "max_keepalive",
            "max_packet_size",
            "max_qos",
            "max_topic_alias",
            "maximum_qos",
            "persistent_client_expiration",
            "retain_available",
        ],
    ),
    (
        KEYS,
        "identifiers_are_given_and_refused_by_keys",
        &[
            "allow_zero_length_clientid",
            "auto_id_prefix",
            "clientid_prefixes",
            "listener_auto_id_prefix",
        ],
    ),
    (KEYS, "a_retained_message_is_sent_while_its_publisher_may_write", &["check_retain_source"]),
    (KEYS, "one_listener_may_let_in_who_names_no_user", &["listener_allow_anonymous"]),
    (KEYS, "a_user_name_may_be_the_client_identifier", &["use_username_as_clientid"]),
    (KEYS, "versions_that_a_listener_does_not_accept_are_refused", &["accept_protocol_versions"]),
    (
        KEYS,
        "connections_and_clients_beyond_a_number_are_refused",
        &["global_max_clients", "global_max_connections", "max_connections"],
    ),
    (KEYS, "a_payload_beyond_the_limit_goes_to_nobody", &["message_size_limit"]),
    (
        KEYS,
        "what_waits_for_a_client_is_bounded_by_keys",
        &["max_queued_bytes", "max_queued_messages", "queue_qos0_messages"],
    ),
    (KEYS, "what_is_in_flight_is_bounded_by_keys", &["max_inflight_bytes"]),
    (
        KEYS,
        "copies_and_their_qos_follow_keys",
        &["allow_duplicate_messages", "upgrade_outgoing_qos"],
    ),
    (KEYS, "a_mount_point_goes_before_the_topics_of_its_listener", &["mount_point"]),
    (
        KEYS,
        "a_proxy_has_to_say_who_the_client_is",
        &["enable_proxy_protocol", "proxy_protocol_v2_require_tls"],
    ),
    (KEYS, "pages_of_other_origins_are_refused", &["websockets_origin"]),
    (
        KEYS,
        "a_listener_is_where_keys_put_it",
        &["bind_address", "bind_interface", "listener", "port", "socket_domain"],
    ),
    (
        KEYS,
        "the_log_holds_what_keys_ask_for",
        &["connection_messages", "log_dest", "log_timestamp", "log_type"],
    ),
    (
        KEYS,
        "the_process_number_and_numbers_of_the_broker_are_where_keys_put_them",
        &["pid_file", "sys_interval"],
    ),
    (
        KEYS,
        "plugins_that_are_built_in_may_be_loaded_in_every_way",
        &[
            "auth_opt_*",
            "auth_plugin",
            "global_plugin",
            "plugin",
            "plugin_load",
            "plugin_opt_*",
            "plugin_use",
        ],
    ),
    (
        KEYS,
        "tls_is_spoken_as_keys_say",
        &[
            "cafile",
            "capath",
            "certfile",
            "ciphers",
            "ciphers_tls1.3",
            "disable_client_cert_date_checks",
            "keyfile",
            "require_certificate",
            "tls_version",
        ],
    ),
    (
        KEYS,
        "the_subject_of_a_certificate_may_be_the_user_name",
        &["use_identity_as_username", "use_subject_as_username"],
    ),
    (
        KEYS,
        "what_is_retained_outlives_a_restart_under_the_keys_of_persistence",
        &["persistence", "persistence_file", "persistence_location", "retained_persistence"],
    ),
    (
        "crates/cli/tests/configured/files.rs",
        "rules_hold_for_each_listener_that_has_some",
        &["acl_file", "per_listener_settings"],
    ),
    (
        "crates/cli/tests/configured/files.rs",
        "a_home_with_passwords_lets_in_who_knows_one",
        &["allow_anonymous", "password_file"],
    ),
    (
        "crates/cli/tests/configured/files.rs",
        "debians_package_serves_this_machine_and_keeps_what_is_retained",
        &["include_dir"],
    ),
    (
        "crates/cli/tests/configured/command_line.rs",
        "a_log_goes_where_it_is_sent_in_the_form_that_is_asked_for",
        &["log_timestamp_format"],
    ),
    (
        "crates/cli/tests/configured/container.rs",
        "a_container_keeps_its_configuration_and_makes_what_it_writes",
        &["user"],
    ),
    ("crates/cli/tests/configured/ways.rs", "a_message_goes_every_way", &["protocol"]),
    (
        "crates/cli/tests/configured/ways.rs",
        "a_barred_way_is_named_with_what_opens_it",
        &["crlfile"],
    ),
];

const KEYS: &str = "crates/cli/tests/configured/keys.rs";

/// Where every key is read, and what it sets or how it is answered is compared.
pub const READING: (&str, &str) =
    ("crates/config/tests/mosquitto_keys.rs", "every_key_is_honoured_or_answered");

/// The test that shows the effect of a key, if one does by itself.
#[must_use]
pub fn effect_of(key: &str) -> Option<(&'static str, &'static str)> {
    let test = TESTS.iter().find(|(_, _, keys)| keys.contains(&key))?;
    Some((test.0, test.1))
}
