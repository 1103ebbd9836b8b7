/** The background in Node, with the browser's API and the network in the test's hand: run from test_library.py. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const SERVER = "https://songs.example";
const SECRET = { kind: "key", key: "ta_secret" };
const ROOT = "chrome-extension://me/";

const kept = { local: new Map([["server", SERVER]]), session: new Map([[`secret ${SERVER}`, SECRET]]) };
const area = (map) => ({
  get: async (keys) => (typeof keys === "string" ? { [keys]: map.get(keys) }
    : Object.fromEntries(Object.entries(keys).map(([key, otherwise]) => [key, map.has(key) ? map.get(key) : otherwise]))),
  set: async (values) => Object.entries(values).forEach(([key, value]) => map.set(key, value)),
  remove: async (key) => void map.delete(key),
  clear: async () => map.clear(),
});
let listener, installed, added;
const tabs = { open: [], created: [], scripted: [], alive: new Set() };
globalThis.indexedDB = { open() { throw new DOMException("refused", "InvalidStateError"); } };
Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
globalThis.browser = {
  runtime: {
    id: "me", getURL: (path) => ROOT + path, onMessage: { addListener: (given) => { listener = given; } },
    onInstalled: { addListener: (given) => { installed = given; } },
    getManifest: () => JSON.parse(readFileSync(new URL("../../../extension/manifest.json", import.meta.url), "utf8")),
  },
  commands: { onCommand: { addListener() {} } },
  i18n: { getMessage: (key) => key },
  permissions: { contains: async () => true, onAdded: { addListener: (given) => { added = given; } } },
  scripting: {
    insertCSS: async () => {},
    executeScript: async ({ target, files }) => void tabs.scripted.push([target.tabId, files.at(-1)]),
  },
  storage: { local: area(kept.local), session: area(kept.session) },
  tabs: {
    query: async () => tabs.open,
    create: async ({ url }) => void tabs.created.push(url),
    sendMessage: async (id) => { if (!tabs.alive.has(id)) throw new Error("no receiver"); return { kind: null }; },
  },
};
let asked = [];
let answers = () => new Response("{}", { status: 404 });
globalThis.fetch = async (address, init) => {
  asked.push({ path: address.slice(`${SERVER}/api/v1`.length), body: init.body && JSON.parse(init.body), fresh: init.headers["Cache-Control"], token: init.headers.Authorization });
  return answers(asked.at(-1));
};
await import("../../../extension/background.js");

const problem = (status, code) => new Response(JSON.stringify({ code, title: code, detail: "" }), { status });
const RUNNING = { id: "x", kind: "stream", target: "c", status: "running", stage: "capturing", song: null, songs: [], problem: null };
async function sent(message, { incognito = false } = {}) {
  asked = [];
  return listener(message, { id: "me", url: "https://www.twitch.tv/c", tab: { incognito } });
}
const ask = { name: "ask", question: { channel: "c" } };

test("a private window sends nothing by itself, and no secret unless the viewer has allowed it", async () => {
  answers = () => new Response(JSON.stringify(RUNNING), { status: 202, headers: { "Retry-After": "3" } });
  const view = await sent(ask);
  assert.deepEqual([view.state, view.wait, asked[0].token], ["working", 3, "Bearer ta_secret"]);
  await sent(ask, { incognito: true });
  assert.equal(asked[0].token, undefined);
  assert.equal(await sent({ name: "stored", slug: "Slug" }, { incognito: true }), null);
  assert.deepEqual(asked, []);
  answers = () => problem(401, "login-required");
  assert.equal((await sent(ask, { incognito: true })).code, "private-window");
  assert.equal((await sent(ask)).code, "login-required");
  await sent({ name: "stored", slug: "Slug" });
  assert.equal(asked.length, 1);
  kept.local.set("privateSignIn", true);
  await sent(ask, { incognito: true });
  assert.equal(asked[0].token, "Bearer ta_secret");
  kept.local.delete("privateSignIn");
});

test("a moment that an older server does not know is asked for live", async () => {
  answers = ({ body }) => ("ago" in body ? problem(400, "invalid-input") : new Response(JSON.stringify(RUNNING), { status: 202 }));
  assert.equal((await sent({ name: "ask", question: { channel: "c", ago: 300 } })).state, "working");
  assert.deepEqual(asked.map(({ body }) => body), [{ channel: "c", ago: 300 }, { channel: "c" }]);
  assert.equal((await sent({ name: "ask", question: { clip: "a", url: "b" } })), undefined);
  // A moment that the viewer has chosen is not exchanged for another one.
  const refused = await sent({ name: "ask", question: { channel: "c", ago: 300 }, chosen: true });
  assert.deepEqual([refused.code, refused.text, asked.length], ["server-too-old", "ago_unknown", 1]);
  answers = () => new Response(JSON.stringify({ ...RUNNING, status: "no_match" }), { status: 200 });
  assert.match((await sent({ name: "poll", id: "x", ago: 300 })).text, /^moment_live/);
  await sent({ ...ask, fresh: true });
  assert.equal(asked[0].fresh, "no-cache");
});

test("the installation opens the welcome page once, and gives the button to open tabs", async () => {
  tabs.open = [{ id: 1 }, { id: 2 }, { id: 3, discarded: true }];
  tabs.alive.add(2); // which the browser has given it already
  await installed({ reason: "install" });
  assert.deepEqual([tabs.created, tabs.scripted], [[`${ROOT}welcome/welcome.html`], [[1, "content/main.js"]]]);
  await installed({ reason: "install" });
  await installed({ reason: "update" });
  await installed({ reason: "browser_update" });
  assert.deepEqual([tabs.created.length, tabs.scripted.length], [1, 3]);
  added({ origins: ["https://songs.example/*"] });
  added({ origins: ["https://www.twitch.tv/*"] });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(tabs.scripted.length, 4);
  [tabs.open, tabs.created] = [[], []];
});

test("without a server that was chosen, the first question leads to where one is", async () => {
  kept.local.delete("server");
  answers = () => { throw new TypeError("Failed to fetch"); };
  const view = await sent(ask);
  assert.deepEqual([view.code, view.actions.map(({ name }) => name)], ["no-server", ["welcome", "retry"]]);
  await sent(ask);
  await sent(ask, { incognito: true });
  assert.deepEqual(tabs.created, [`${ROOT}welcome/welcome.html`]);
  answers = () => new Response("<h1>My router</h1>");
  assert.equal((await sent(ask)).code, "no-server");
  kept.local.set("server", "http://127.0.0.1:8080");
  answers = () => { throw new TypeError("Failed to fetch"); };
  assert.equal((await sent(ask)).code, "server-unreachable");
  kept.local.set("server", SERVER);
});

test("an address that cannot be a server's is refused with its reason, and one at home with what is special there", async () => {
  const own = { id: "me", url: `${ROOT}welcome/welcome.html` };
  const tell = async (server) => { const { code, text } = await listener({ name: "set-server", server }, own); return [code, text]; };
  assert.deepEqual(await tell("https://songs.example/docs"), ["address-invalid", "address_path"]);
  assert.deepEqual(await tell("http://192.168.1.5"), ["address-invalid", "address_home"]);
  assert.deepEqual(await tell("https://www.twitch.tv"), ["address-invalid", "address_twitch"]);
  answers = () => { throw new TypeError("Failed to fetch"); };
  assert.deepEqual(await tell("https://192.168.1.5"), ["connection-not-secure", "connection_at_home"]);
  assert.deepEqual(await tell("https://other.example"), ["connection-not-secure", "problem_connection_not_secure_text"]);
});

test("a server below a path is asked below it, with the secret that is its own", async () => {
  const below = `${SERVER}/twitchaudio`;
  const addresses = [];
  const plain = globalThis.fetch;
  globalThis.fetch = async (address, init) => {
    addresses.push(address);
    return plain(address, init);
  };
  answers = () => new Response(JSON.stringify({ access_mode: "open" }));
  const tell = (server) => listener({ name: "set-server", server }, { id: "me", url: `${ROOT}welcome/welcome.html` });
  assert.equal(await tell(" songs.example/twitchaudio/ "), null);
  assert.equal(kept.local.get("server"), below);
  answers = () => new Response(JSON.stringify(RUNNING), { status: 202 });
  await sent(ask);
  assert.deepEqual(addresses, [`${below}/api/v1/status`, `${below}/api/v1/identifications`]);
  assert.equal(asked[0].token, undefined);
  assert.equal((await tell(`${below}/docs`)).code, "address-invalid");
  globalThis.fetch = plain;
  kept.local.set("server", SERVER);
  kept.session.set(`secret ${SERVER}`, SECRET);
});

test("a server that answered before is not said to have a wrong certificate", async () => {
  answers = () => { throw new TypeError("Failed to fetch"); };
  assert.equal((await sent(ask)).code, "connection-not-secure");
  kept.local.set("reached", SERVER);
  assert.equal((await sent(ask)).code, "server-away");
  kept.local.delete("reached");
});

test("a refusal whatever its form is a view, and a fault of the extension is not called the server's", async () => {
  for (const [answer, code] of [
    [() => new Response("<h1>Bad gateway</h1>", { status: 502 }), "gateway-error"],
    [() => problem(404, "not-found"), "server-too-old"],
    [() => new Response("{}", { status: 200 }), "server-too-old"],
    [() => problem(418, "unheard-of"), "unheard-of"],
  ]) {
    answers = answer;
    assert.equal((await sent(ask)).code, code);
  }
  answers = () => new Response(JSON.stringify({ ...RUNNING, status: "successful", song: { title: "T", artists: 7 } }));
  assert.equal((await sent(ask)).code, "server-too-old");
  const { contains } = browser.permissions;
  browser.permissions.contains = async () => { throw new Error("broken"); };
  assert.equal((await sent(ask)).code, "extension-failed");
  browser.permissions.contains = contains;
});

test("a store of secrets that never opens counts as refused", async () => {
  const [plain, refusing] = [globalThis.setTimeout, globalThis.indexedDB];
  globalThis.setTimeout = (act) => queueMicrotask(act);
  globalThis.indexedDB = { open: () => ({}) };
  answers = () => new Response(JSON.stringify(RUNNING), { status: 202 });
  assert.equal((await sent(ask)).state, "working");
  assert.equal(asked[0].token, "Bearer ta_secret");
  [globalThis.setTimeout, globalThis.indexedDB] = [plain, refusing];
});

test("Retry-After is a number or a date, and nothing absurd", async () => {
  const away = (value) => { answers = () => new Response("busy", { status: 503, headers: { "Retry-After": value } }); };
  for (const [value, least, most] of [["7", 7, 7], [new Date(Date.now() + 30_000).toUTCString(), 20, 31],
    ["Mon, 01 Jan 2024 00:00:00 GMT", 0, 2], ["1e9", 3600, 3600]]) {
    away(value);
    const { code, wait } = await sent(ask);
    assert.equal(code, "gateway-error");
    assert.ok(wait >= least && wait <= most, `${value}: ${wait}`);
  }
  for (const value of ["soon", "-5", "NaN"]) {
    away(value);
    assert.equal((await sent(ask)).wait, null, value);
  }
});

test("an answer that never ends is not read to its end", async () => {
  let sentBytes = 0;
  const endless = () => new ReadableStream({ pull(controller) { sentBytes += 65536; controller.enqueue(new Uint8Array(65536).fill(32)); } });
  for (const status of [200, 404, 502]) {
    answers = () => new Response(endless(), { status });
    assert.equal((await sent(ask)).code, "not-a-server");
  }
  assert.ok(sentBytes < 4_000_000, String(sentBytes));
});
