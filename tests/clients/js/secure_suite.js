// mqtt.js over TLS and secure WebSocket: in Node, and in a real browser.
//
//   secure_suite.js HOST TLS-PORT WEBSOCKET-PORT SECURE-WEBSOCKET-PORT CA-FILE SPKI
//
// SPKI is what Chromium is told to trust: SHA-256 of the public key, in base64.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import puppeteer from "puppeteer-core";

import { Client, VERSIONS, unique } from "./harness.js";

const [host, tls, web, secure, caFile, spki] = process.argv.slice(2);
const ca = readFileSync(caFile);
const WAYS = {
  tls: [`mqtts://${host}:${tls}`, { ca }],
  websocket: [`ws://${host}:${web}/mqtt`, {}],
  "secure websocket": [`wss://${host}:${secure}/mqtt`, { wsOptions: { ca } }],
};
let failed = 0;

async function behaviour(name, run) {
  try {
    await run();
    console.log(`ok mqttjs-secure::${name}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok mqttjs-secure::${name}: ${String(error.message ?? error).replaceAll(/\s+/g, " ")}`);
  }
}

async function inNode(url, options, version) {
  const [reader, writer] = [
    await Client.connect(url, version, options),
    await Client.connect(url, version, options),
  ];
  for (const qos of [0, 1, 2]) {
    const topic = unique("secure");
    await reader.subscribe(topic, { qos });
    await writer.publish(topic, `sealed ${qos}`, { qos });
    assert.equal((await reader.receive()).payload.toString(), `sealed ${qos}`);
  }
  await Promise.all([reader.mqtt.endAsync(), writer.mqtt.endAsync()]);
}

for (const [way, [url, options]] of Object.entries(WAYS)) {
  for (const version of Object.keys(VERSIONS)) {
    await behaviour(`messages over ${way} in Node[version=${version}]`, () => inNode(url, options, version));
  }
}

for (const way of ["tls", "secure websocket"]) {
  await behaviour(`an authority that is not known is refused over ${way} in Node`, () =>
    assert.rejects(Client.connect(WAYS[way][0], "5", {}), /certificate|self.signed|issuer/i),
  );
}

/** The page of a browser: mqtt.js as it is shipped for them, from a server of its own. */
async function page(browser, address) {
  const opened = await browser.newPage();
  await opened.goto(address);
  await opened.addScriptTag({ path: new URL("node_modules/mqtt/dist/mqtt.min.js", import.meta.url).pathname });
  return opened;
}

/** Runs inside the page: connects, subscribes, publishes; the payloads that came, or the reason. */
function exchange(url, protocol, topic) {
  return new Promise((resolve) => {
    const client = window.mqtt.connect(url, { ...protocol, reconnectPeriod: 0, connectTimeout: 60_000 });
    const found = [];
    client.on("connect", async () => {
      await client.subscribeAsync(topic, { qos: 2 });
      for (const qos of [0, 1, 2]) await client.publishAsync(topic, `browser ${qos}`, { qos });
    });
    client.on("message", (_topic, payload) => {
      found.push(payload.toString());
      if (found.length === 3) client.end(false, {}, () => resolve(found));
    });
    client.on("error", (error) => resolve(`error: ${error.message}`));
    client.on("close", () => setTimeout(() => resolve(found.length === 3 ? found : "closed"), 200));
  });
}

async function inBrowser(flags, run) {
  const origin = createServer((_, answer) => answer.end("<!doctype html><title>page</title>"));
  await new Promise((ready) => origin.listen(0, "127.0.0.1", ready));
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", ...flags],
  });
  try {
    await run(await page(browser, `http://127.0.0.1:${origin.address().port}/`));
  } finally {
    await browser.close();
    origin.close();
  }
}

const SENT = ["browser 0", "browser 1", "browser 2"];
const trusted = [`--ignore-certificate-errors-spki-list=${spki}`];

await behaviour("messages over websocket and secure websocket in Chromium", () =>
  inBrowser(trusted, async (opened) => {
    for (const way of ["websocket", "secure websocket"]) {
      for (const version of Object.keys(VERSIONS)) {
        const found = await opened.evaluate(exchange, WAYS[way][0], VERSIONS[version], unique("browser"));
        assert.deepEqual(found, SENT, `${way}, version ${version}`);
      }
    }
  }),
);

await behaviour("an authority that is not known is refused in Chromium", () =>
  inBrowser([], async (opened) => {
    const found = await opened.evaluate(exchange, WAYS["secure websocket"][0], VERSIONS[5], unique("browser"));
    assert.ok(!Array.isArray(found), "it connected");
  }),
);

process.exit(failed ? 1 : 0);
