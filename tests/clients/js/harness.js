// What the behaviours need: registration, one line printed for each, a client with an inbox.

import assert from "node:assert/strict";
import { once } from "node:events";
import mqtt from "mqtt";

/** What a broker on this machine must manage in, though the machine be busy. */
const PATIENCE_MS = 60_000;

/** The names of the versions and how mqtt.js is told. */
export const VERSIONS = {
  "3.1": { protocolId: "MQIsdp", protocolVersion: 3 },
  "3.1.1": { protocolId: "MQTT", protocolVersion: 4 },
  5: { protocolId: "MQTT", protocolVersion: 5 },
};

const behaviours = [];
let number = 0;

/** A name that no other behaviour uses. */
export function unique(what = "dunlin-js") {
  number += 1;
  return `${what}-${process.pid}-${number}`;
}

/** Registers a behaviour for each of the given versions. */
export function behaviour(name, versions, run) {
  for (const version of versions) {
    behaviours.push({ name: `mqttjs::${name}[version=${version}]`, version, run });
  }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} in ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A connected client whose messages wait in `inbox`. */
export class Client {
  static async connect(broker, version, options = {}) {
    const client = new Client();
    client.inbox = [];
    client.waiting = [];
    client.mqtt = mqtt.connect(broker, {
      ...VERSIONS[version],
      clientId: unique("js"),
      clean: true,
      reconnectPeriod: 0,
      ...options,
    });
    client.mqtt.on("message", (topic, payload, packet) => client.arrived({ topic, payload, packet }));
    const outcome = Promise.race([
      once(client.mqtt, "connect"),
      once(client.mqtt, "error").then(([error]) => Promise.reject(error)),
    ]);
    [client.connack] = await within(outcome, "CONNACK");
    client.mqtt.on("error", () => {});
    client.closed = once(client.mqtt, "close");
    return client;
  }

  arrived(message) {
    const next = this.waiting.shift();
    if (next) next(message);
    else this.inbox.push(message);
  }

  receive() {
    if (this.inbox.length > 0) return Promise.resolve(this.inbox.shift());
    return within(new Promise((resolve) => this.waiting.push(resolve)), "message");
  }

  async receiveMany(count) {
    const found = [];
    while (found.length < count) found.push(await this.receive());
    return found;
  }

  subscribe(topic, options) {
    return within(this.mqtt.subscribeAsync(topic, options), "SUBACK");
  }

  unsubscribe(topic) {
    return within(this.mqtt.unsubscribeAsync(topic), "UNSUBACK");
  }

  publish(topic, payload, options) {
    return within(this.mqtt.publishAsync(topic, payload, options), "acknowledgement");
  }

  /** Checks that nothing comes ahead of a marker published now. */
  async nothingBefore(publisher, topic) {
    const marker = unique("marker");
    await publisher.publish(topic, marker, { qos: 0 });
    const { payload } = await this.receive();
    assert.equal(payload.toString(), marker, "something came that should not");
  }

  /** The connection breaks: no DISCONNECT is sent. */
  async drop() {
    this.mqtt.stream.destroy();
    await within(this.closed, "close");
  }

  close() {
    return within(this.mqtt.endAsync(), "close");
  }
}

/** Runs what is registered against the broker named on the command line. */
export async function main() {
  const [address, wanted = ""] = process.argv.slice(2);
  let failed = 0;
  for (const { name, version, run } of behaviours.filter((one) => one.name.includes(wanted))) {
    const clients = [];
    const open = async (options) => {
      const client = await Client.connect(`mqtt://${address}`, version, options);
      clients.push(client);
      return client;
    };
    try {
      await run(open, version);
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`not ok ${name}: ${String(error.message).replace(/\s+/g, " ")}`);
    }
    for (const client of clients) client.mqtt.end(true);
  }
  process.exit(failed ? 1 : 0);
}
