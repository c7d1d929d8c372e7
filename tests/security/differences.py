"""Where dunlin answers otherwise than Mosquitto 2.0, and why: (theirs, ours, reason)."""

SIZES = "Mosquitto 2.1 announces the largest packet that it takes, and so does dunlin"
MOUNT = "2.0 leaves the prefix of the mount point in what it delivers; the manual says that it is taken off"

DIFFERENCES = {
    ("open", "what 5.0 is told"): ("00000622000a210014", "00000b22000a27001e8480210014", SIZES),
    ("open", "wildcard in a topic"): ("closed DISCONNECT 82", "closed DISCONNECT 90", "the code made for it"),
    ("open", "two CONNECTs"): ("closed", "DISCONNECT 0x82", "5.0 is told why"),
    ("open", "topic alias 0"): ("DISCONNECT 0x81", "DISCONNECT 0x94", "the code that [MQTT-3.3.2-8] asks for"),
    ("open", "packet of servers"): ("closed", "DISCONNECT 0x82", "5.0 is told why"),
    ("limits", "connections"): ([0, 0, "closed"], [0, 0, 3], "refused with the code, not in silence"),
    ("limits", "connections, 5.0"): ([0, 0, 0], [0, 0, 0x97], "2.0 lets one more in after it refused one"),
    ("limits", "inside the mount"): ([("here/x", "value", 1, 0)], [("x", "value", 1, 0)], MOUNT),
    ("limits", "into the mount"): ([("here/x", "value", 1, 0)], [("x", "value", 1, 0)], MOUNT),
    ("limits", "keep alive"): ({4: 0, 5: 0}, {4: 2, 5: 0}, "2.1 and dunlin hold 3.1.1 to the largest keep alive"),
    ("limits", "keep alive 0"): ({4: 0, 5: 0}, {4: 2, 5: 0}, "without end is more than the largest keep alive"),
    ("without retained", "what 5.0 is told"): (
        "00000822000a2500210014", "00000d22000a250027001e8480210014", SIZES),
}
