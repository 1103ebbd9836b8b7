/** The background in Node, with the browser's API and the network in the test's hand: run from test_library.py. */
import assert from "node:assert/strict";
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
let listener;
globalThis.indexedDB = { open() { throw new DOMException("refused", "InvalidStateError"); } };
Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
globalThis.browser = {
  runtime: { id: "me", getURL: () => ROOT, onMessage: { addListener: (given) => { listener = given; } } },
  commands: { onCommand: { addListener() {} } },
  i18n: { getMessage: (key) => key },
  permissions: { contains: async () => true },
  storage: { local: area(kept.local), session: area(kept.session) },
  tabs: { query: async () => [] },
};
let asked = [];
let answers = () => new Response("{}", { status: 404 });
globalThis.fetch = async (address, init) => {
  asked.push({ path: address.slice(`${SERVER}/api/v1`.length), body: init.body && JSON.parse(init.body), token: init.headers.Authorization });
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
  browser.permissions.contains = async () => { throw new Error("broken"); };
  assert.equal((await sent(ask)).code, "extension-failed");
});
