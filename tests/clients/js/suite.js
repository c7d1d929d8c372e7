// Behaviours with mqtt.js.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { VERSIONS, behaviour, main, unique } from "./harness.js";

const ALL = Object.keys(VERSIONS);
const V5 = ["5"];
const LONG_SESSION = { clean: false, properties: { sessionExpiryInterval: 300 } };

for (const qos of [0, 1, 2]) {
  behaviour(`messages of QoS ${qos} arrive once and in order`, ALL, async (open) => {
    const topic = unique("order");
    const [publisher, subscriber] = [await open(), await open()];
    await subscriber.subscribe(topic, { qos });
    const sent = Array.from({ length: 200 }, (_, index) => String(index));
    // mqtt.js does not count against the broker's Receive Maximum: ten at a time are safe.
    for (let at = 0; at < sent.length; at += 10) {
      const some = sent.slice(at, at + 10);
      await Promise.all(some.map((payload) => publisher.publish(topic, payload, { qos })));
    }
    const found = await subscriber.receiveMany(sent.length);
    assert.deepEqual(found.map(({ payload }) => payload.toString()), sent);
    assert.deepEqual([...new Set(found.map(({ packet }) => packet.qos))], [qos]);
    await subscriber.nothingBefore(publisher, topic);
  });

  behaviour(`a payload of one mebibyte arrives with QoS ${qos}`, ALL, async (open) => {
    const topic = unique("large");
    const [publisher, subscriber] = [await open(), await open()];
    await subscriber.subscribe(topic, { qos });
    const sent = Buffer.alloc(1 << 20, "0123456789abcdef");
    await publisher.publish(topic, sent, { qos });
    const { payload } = await subscriber.receive();
    assert.ok(sent.equals(payload), `${payload.length} bytes, or others than were sent`);
  });
}

behaviour("a retained message waits until it is cleared", ALL, async (open) => {
  const topic = unique("retained");
  const [publisher, early, late] = [await open(), await open(), await open()];
  await publisher.publish(topic, "kept", { qos: 1, retain: true });
  await early.subscribe(topic, { qos: 1 });
  const { payload, packet } = await early.receive();
  assert.deepEqual([payload.toString(), packet.retain], ["kept", true]);
  await publisher.publish(topic, "", { qos: 1, retain: true });
  await late.subscribe(topic, { qos: 1 });
  await late.nothingBefore(publisher, topic);
});

behaviour("wildcards match", ALL, async (open) => {
  const base = unique("wild");
  const [publisher, subscriber] = [await open(), await open()];
  await subscriber.subscribe([`${base}/+/temperature`, `${base}/deep/#`], { qos: 1 });
  for (const topic of ["a/temperature", "a/humidity", "deep/er/still", "deep"]) {
    await publisher.publish(`${base}/${topic}`, "x", { qos: 1 });
  }
  const found = (await subscriber.receiveMany(3)).map(({ topic }) => topic.slice(base.length + 1));
  assert.deepEqual(found, ["a/temperature", "deep/er/still", "deep"]);
});

behaviour("messages wait for a persistent session", ALL, async (open) => {
  const [topic, clientId] = [unique("offline"), unique("keeper")];
  const first = await open({ clientId, ...LONG_SESSION });
  await first.subscribe(topic, { qos: 1 });
  await first.close();
  const publisher = await open();
  for (const payload of ["1", "2", "3"]) await publisher.publish(topic, payload, { qos: 1 });
  const second = await open({ clientId, ...LONG_SESSION });
  const found = await second.receiveMany(3);
  assert.deepEqual(found.map(({ payload }) => payload.toString()), ["1", "2", "3"]);
  await second.close();
  await open({ clientId, clean: true });
});

behaviour("a will is published when the connection breaks", ALL, async (open) => {
  const topic = unique("will");
  const watcher = await open();
  await watcher.subscribe(topic, { qos: 1 });
  const victim = await open({ will: { topic, payload: Buffer.from("gone"), qos: 1, retain: false } });
  await victim.drop();
  const { payload } = await watcher.receive();
  assert.equal(payload.toString(), "gone");
});

behaviour("a normal disconnect discards the will", ALL, async (open) => {
  const topic = unique("will");
  const [watcher, publisher] = [await open(), await open()];
  await watcher.subscribe(topic, { qos: 1 });
  const client = await open({ will: { topic, payload: Buffer.from("gone"), qos: 1, retain: false } });
  await client.close();
  await watcher.nothingBefore(publisher, topic);
});

behaviour("a second connection with the same identifier closes the first", ALL, async (open, version) => {
  const clientId = unique("twin");
  const first = await open({ clientId });
  let reason;
  first.mqtt.on("disconnect", ({ reasonCode }) => {
    reason = reasonCode;
  });
  await open({ clientId });
  await first.closed;
  if (version === "5") assert.equal(reason, 0x8e, "reason code of the DISCONNECT");
});

behaviour("nothing comes after unsubscribe", ALL, async (open) => {
  const [topic, other] = [unique("unsubscribe"), unique("other")];
  const [publisher, subscriber] = [await open(), await open()];
  await subscriber.subscribe([topic, other], { qos: 1 });
  await subscriber.unsubscribe(topic);
  await publisher.publish(topic, "after", { qos: 1 });
  await subscriber.nothingBefore(publisher, other);
});

behaviour("properties of a message arrive", V5, async (open) => {
  const topic = unique("properties");
  const [publisher, subscriber] = [await open(), await open()];
  const properties = {
    contentType: "text/plain",
    responseTopic: "reply/here",
    correlationData: Buffer.from("id"),
    payloadFormatIndicator: true,
    userProperties: { b: ["1", "2"], a: "3" },
  };
  await subscriber.subscribe(topic, { qos: 1 });
  await publisher.publish(topic, "text", { qos: 1, properties });
  const { packet } = await subscriber.receive();
  for (const name of Object.keys(properties)) {
    const found = packet.properties[name];
    assert.deepEqual(name === "userProperties" ? { ...found } : found, properties[name], name);
  }
});

behaviour("messages carry the subscription identifier", V5, async (open) => {
  const topic = unique("identifier");
  const [publisher, subscriber] = [await open(), await open()];
  await subscriber.subscribe(topic, { qos: 1, properties: { subscriptionIdentifier: 42 } });
  await publisher.publish(topic, "x", { qos: 1 });
  const { packet } = await subscriber.receive();
  assert.deepEqual([packet.properties.subscriptionIdentifier].flat(), [42]);
});

behaviour("a shared subscription gives each message to one member", V5, async (open) => {
  const topic = unique("shared");
  const [publisher, one, two] = [await open(), await open(), await open()];
  for (const member of [one, two]) await member.subscribe(`$share/js/${topic}`, { qos: 1 });
  const sent = Array.from({ length: 40 }, (_, index) => String(index));
  for (const payload of sent) await publisher.publish(topic, payload, { qos: 1 });
  for (let turns = 0; one.inbox.length + two.inbox.length < sent.length && turns < 3_000; turns += 1) {
    await sleep(20);
  }
  const shares = [one, two].map((member) => member.inbox.map(({ payload }) => Number(payload)));
  assert.deepEqual(shares.flat().sort((a, b) => a - b).map(String), sent);
  assert.ok(shares.every((share) => share.length > 0), "a member was left out");
});

behaviour("a topic alias stands for its topic", V5, async (open) => {
  const topic = unique("alias");
  const [publisher, subscriber] = [await open({ autoAssignTopicAlias: true }), await open()];
  assert.ok(publisher.connack.properties.topicAliasMaximum > 0, "no topic aliases");
  await subscriber.subscribe(topic, { qos: 1 });
  for (const payload of ["1", "2", "3"]) await publisher.publish(topic, payload, { qos: 1 });
  const found = await subscriber.receiveMany(3);
  assert.deepEqual(found.map(({ topic, payload }) => [topic, payload.toString()]), [
    [topic, "1"],
    [topic, "2"],
    [topic, "3"],
  ]);
});

behaviour("aliases of the broker are understood by a client that offers them", V5, async (open) => {
  const topic = unique("alias-in");
  const publisher = await open();
  const subscriber = await open({ properties: { topicAliasMaximum: 5 } });
  await subscriber.subscribe(`${topic}/#`, { qos: 1 });
  const topics = Array.from({ length: 30 }, (_, index) => `${topic}/${index % 7}`);
  for (const name of topics) await publisher.publish(name, name, { qos: 1 });
  const found = await subscriber.receiveMany(topics.length);
  assert.deepEqual(found.map(({ topic }) => topic), topics);
  assert.deepEqual(found.map(({ payload }) => payload.toString()), topics);
});

behaviour("a session ends with its expiry interval", V5, async (open) => {
  const [topic, clientId] = [unique("expiry"), unique("keeper")];
  const options = { clientId, clean: false, properties: { sessionExpiryInterval: 1 } };
  const first = await open(options);
  await first.subscribe(topic, { qos: 1 });
  await first.close();
  await sleep(2200);
  const second = await open(options);
  assert.equal(second.connack.sessionPresent, false);
});

behaviour("a request with correlation data is answered", V5, async (open) => {
  const [ask, answer] = [unique("ask"), unique("answer")];
  const [requester, responder] = [await open(), await open()];
  await responder.subscribe(ask, { qos: 1 });
  await requester.subscribe(answer, { qos: 1 });
  const properties = { responseTopic: answer, correlationData: Buffer.from([1, 2, 3]) };
  await requester.publish(ask, "ping", { qos: 1, properties });
  const request = (await responder.receive()).packet.properties;
  const { correlationData } = request;
  await responder.publish(request.responseTopic, "pong", { qos: 1, properties: { correlationData } });
  const { payload, packet } = await requester.receive();
  assert.equal(payload.toString(), "pong");
  assert.deepEqual(packet.properties.correlationData, properties.correlationData);
});

await main();
