/** The website's scripts without a browser: run by Node on the files as they are served, from test_scripts.py. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const served = (name) => import(`${pathToFileURL(process.env.SERVED)}/js/${name}`);
const { IDLE, answerTexts, problemTexts } = await served("answer_texts.js");
const { clockText } = await served("lib/answer.js");
const { momentText, longDate } = await served("times.js");
const { gettext, ngettext, ownLocale } = await served("messages.js");
const api = await served("api.js");
const { MAX_FINDS, asCsv, asJson, merged, parseFinds, withFind } = await served("finds_store.js");
const { MAX_PROBLEMS, keepListening, positionNow, secondsUntilNext } = await served("listening.js");
const table = JSON.parse(readFileSync(process.env.ANSWERS, "utf8"));

const compared = (texts) => Object.fromEntries(Object.keys(table.idle).map((name) => [name, texts[name]]));

test("an answer has the texts that the server writes", () => {
  assert.deepEqual(compared(IDLE), table.idle);
  for (const { name, identification, texts, now = table.now } of table.cases) {
    assert.deepEqual(compared(answerTexts(identification, table.words, Date.parse(now))), { ...table.idle, ...texts }, name);
  }
});

test("another day is named, in the reader's English", () => {
  const now = new Date(2026, 10, 30, 2, 0);
  const text = (moment, locale) => momentText(moment, now, locale).replaceAll("\u202f", " ");
  assert.equal(text(new Date(2026, 10, 30, 0, 5), "en-US"), "at 12:05 AM");
  assert.equal(text(new Date(2026, 10, 20, 12, 2), "en-US"), "on November 20 at 12:02 PM");
  assert.equal(text(new Date(2025, 10, 20, 12, 2), "en-GB"), "on 20 November 2025 at 12:02");
  assert.deepEqual([ownLocale(["de", "en-US"]), ownLocale(["fr"]), ownLocale(["en", "de-AT"], "de"), ownLocale([], "de")], ["en-US", "en-GB", "de-AT", "de"]);
});

test("when a song was released is said with the month's name", () => {
  assert.deepEqual(["en-US", "en-GB"].map((locale) => longDate("2024-03-08", locale)), ["March 8, 2024", "8 March 2024"]);
  assert.equal(longDate("2024-03", "en-US"), "March 2024");
  for (const other of ["2024", "", "2024-02-30", "2024-13", "08.03.2024", "2024-03-08T00:00:00Z"]) assert.equal(longDate(other, "en-US"), other);
});

test("moments are shown as clocks do", () => {
  const table_of_moments = { 0: "0:00", 9.99: "0:09", 63.2: "1:03", 3599.9: "59:59", 3600: "1:00:00", 36061: "10:01:01", "-1": "0:00" };
  for (const [seconds, text] of Object.entries(table_of_moments)) assert.equal(clockText(Number(seconds)), text);
});

test("a problem without words of its own has those of an internal one, or its code", () => {
  const problem = { code: "of-tomorrow", detail: "Why.", retry_after_seconds: 3 };
  const shown = problemTexts(problem, { internal: { heading: "Oops", next_step: "Again." } }, { source: "x" });
  assert.deepEqual([shown.state, shown.heading, shown.next_step, shown.source, shown.retry_after_seconds], ["failed", "Oops", "Again.", "x", 3]);
  assert.equal(problemTexts(problem, {}).heading, "of-tomorrow");
});

/** A stand-in for the browser's EventSource that gives `events`, then an error. */
const eventSource = (events) => class extends EventTarget {
  constructor() {
    super();
    setTimeout(() => {
      for (const [name, body] of events) this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(body) }));
      this.dispatchEvent(new Event("error"));
    });
  }

  close() {}
};
const state = (status) => ({ id: "x", status });

async function followed(events, answers = []) {
  globalThis.document = { querySelector: () => null };
  globalThis.EventSource = eventSource(events);
  globalThis.fetch = async () => answers.shift() ?? new Response(null, { status: 500 });
  const seen = [];
  await api.follow("x", ({ status }) => seen.push(status), new AbortController().signal);
  return seen;
}

test("an identification is followed by events until it is finished", async () => {
  const events = [["status", state("queued")], ["status", state("running")], ["result", state("no_match")]];
  assert.deepEqual(await followed(events), ["queued", "running", "no_match"]);
});

test("where events do not come through it is polled", async () => {
  const answers = [Response.json(state("running")), Response.json(state("successful"))];
  assert.deepEqual(await followed([["status", state("queued")]], answers), ["queued", "running", "successful"]);
});

test("a failed request is a problem with a code", async () => {
  const problem = (code) => (error) => error instanceof api.ProblemError && error.problem.code === code;
  globalThis.document = { querySelector: () => ({ content: "token" }) };
  globalThis.fetch = async () => { throw new TypeError("Failed to fetch"); };
  await assert.rejects(api.get("x"), problem("network"));
  globalThis.fetch = async () => new Response("<h1>Bad gateway</h1>", { status: 502 });
  await assert.rejects(api.get("x"), problem("internal"));
  let asked;
  globalThis.fetch = async (...given) => { asked = given; return Response.json({ code: "busy", detail: "Later." }, { status: 503 }); };
  await assert.rejects(api.identify({ channel: "x" }), problem("busy"));
  assert.deepEqual([asked[1].body, asked[1].headers["X-CSRF-Token"]], ['{"channel":"x"}', "token"]);
});

test("the page of a channel is renewed when a song that was heard a while ago gets its name", async () => {
  let events;
  globalThis.EventSource = class extends EventTarget {
    constructor() { super(); events = this; }
    close() {}
  };
  globalThis.HTMLAnchorElement = class {
    constructor(id) { Object.assign(this, { id, href: "/preview/1", textContent: "Play", dataset: { stop: "Stop" } }); }
    closest(what) { return what === "li" ? { id: this.id } : this; }
  };
  let clicked;
  let previews = [new HTMLAnchorElement("other"), new HTMLAnchorElement("row")];
  const rows = { querySelectorAll: (what) => (what === "a.preview" ? previews : []), querySelector: () => null, dataset: { live: "", login: "x" }, childNodes: [], replaceChildren() {}, addEventListener(name, listener) { if (name === "click") clicked = listener; } };
  const part = { ...rows, value: "" };
  const sounds = [];
  globalThis.Audio = class extends EventTarget {
    constructor() { super(); this.paused = true; sounds.push(this); }
    async play() { this.paused = false; }
    pause() { this.paused = true; }
  };
  globalThis.document = { querySelector: () => null, querySelectorAll: () => [], addEventListener() {}, getElementById: (id) => (id === "list" ? rows : part), documentElement: { dataset: {} }, importNode: (node) => node };
  globalThis.addEventListener ??= () => {};
  globalThis.location ??= { href: "/channels/x" };
  globalThis.DOMParser = class { parseFromString() { return document; } };
  let fetched = 0;
  globalThis.fetch = async () => { fetched += 1; return new Response("<p>"); };
  if (globalThis.navigator === undefined) globalThis.navigator = {};
  await served("set_list.js");
  const told = async (name, wanted) => {
    events.dispatchEvent(new Event(name));
    do await new Promise((resolve) => { setImmediate(resolve); });
    while (fetched < wanted);
    assert.equal(fetched, wanted);
  };
  await told("open", 0);
  await told("updated", 1);
  await told("open", 2); // the song may have got its name while the connection was lost

  // A preview goes on when the list is new, and its link in there ends it.
  const says = () => previews.map((link) => link.textContent);
  const click = (link) => clicked({ target: link, preventDefault() {} });
  click(previews[1]);
  assert.deepEqual([says(), sounds[0].paused], [["Play", "Stop"], false]);
  previews = [new HTMLAnchorElement("new"), new HTMLAnchorElement("other"), new HTMLAnchorElement("row")];
  await told("updated", 3);
  assert.deepEqual([says(), sounds[0].paused], [["Play", "Play", "Stop"], false]);
  click(previews[2]);
  assert.deepEqual([says(), sounds[0].paused], [["Play", "Play", "Play"], true]);
  click(previews[0]);
  previews = [];
  await told("updated", 4);
  assert.ok(sounds[0].paused); // its row is gone
});

const find = (id, more = {}) => ({ id, song: "/songs/x", title: "Night Drive", artists: "The Builders", source: "somechannel", at: "2026-03-01T12:00:00Z", ...more });

test("finds are kept newest first, once, and not without end", () => {
  const ids = (finds) => finds.map(({ id }) => id);
  let finds = withFind([], find("a"));
  finds = withFind(finds, find("b", { at: "2026-03-01T12:05:00Z" }));
  assert.deepEqual(ids(finds), ["b"], "the same song a moment later is the same find");
  finds = withFind(finds, find("c", { source: "another" }));
  finds = withFind(finds, find("d", { at: "2026-03-01T14:00:00Z" }));
  assert.deepEqual(ids(withFind(finds, find("b", { title: "Other" }))), ["b", "d", "c"]);
  for (let number = 0; number < MAX_FINDS + 5; number += 1) finds = withFind(finds, find(String(number), { title: String(number) }));
  assert.deepEqual([finds.length, finds[0].id], [MAX_FINDS, String(MAX_FINDS + 4)]);
  for (const text of [null, "", "{", "{}", '[1, null, {"id": 5}]']) assert.deepEqual(parseFinds(text), []);
  assert.deepEqual(parseFinds(JSON.stringify(finds)), finds);
});

test("finds of the account and of the browser are one list, each once", () => {
  const kept = [find("b", { at: "2026-03-01T13:00:00Z" }), find("a", { at: "2026-03-01T11:00:00Z" })];
  const local = [find("c", { at: "2026-03-01T12:00:00Z" }), find("a", { at: "2026-03-01T11:00:00Z" })];
  assert.deepEqual(merged(kept, local).map(({ id }) => id), ["b", "c", "a"]);
});

test("finds are exported with whole addresses and without formulas", () => {
  const finds = [find("a b", { title: '=1+1, "so"', artists: "مرحبا", song: "" }), find("c")];
  const lines = asCsv(finds, "https://x.example/p").split("\r\n");
  assert.equal(lines[1], `2026-03-01T12:00:00Z,"'=1+1, ""so""",مرحبا,somechannel,,https://x.example/p/?id=a%20b`);
  assert.match(lines[2], /,https:\/\/x\.example\/p\/songs\/x,/);
  assert.deepEqual(JSON.parse(asJson(finds, "https://x.example/p")).map(({ song }) => song), [null, "https://x.example/p/songs/x"]);
});

const heard = Date.parse("2026-03-01T12:00:00Z");
const playing = (title, offset, duration = 200) =>
  ({ song: { title, artists: [], offset, duration }, captured_at: "2026-03-01T12:00:00Z" });

test("the needle goes on with the stream, to the song's end", () => {
  const at = (seconds, more = {}) => positionNow({ offset: 50, length: 200, heard, ...more }, heard + seconds * 1000);
  assert.deepEqual([at(-9), at(0), at(30), at(900)], [50, 50, 80, 200]);
  assert.deepEqual([at(1, { offset: null }), at(1, { length: null }), at(1, { length: 0 }), at(1, { heard: NaN })], [null, null, null, null]);
  const waits = [playing("A", 190), playing("A", 150), playing("A", 10), playing("A", null), null];
  assert.deepEqual(waits.map((answer) => secondsUntilNext(answer, heard)), [16, 56, 120, 30, 30]);
});

test("listening on turns over to the next song, and stops after problems", async () => {
  const answers = [playing("A", 190), { song: null }, playing("B", 5), new Error("1"), playing("B", 90), new Error("2"), new Error("3"), new Error("4")];
  const shown = [];
  const waited = [];
  await keepListening({
    newest: playing("A", 150),
    ask: async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    pause: async (seconds) => { waited.push(seconds); },
    onSong: ({ song }, next) => shown.push([song.title, next]),
    onProblem: () => 40,
    signal: new AbortController().signal,
    now: () => heard,
  });
  assert.deepEqual(shown, [["A", false], ["B", true], ["B", false]]);
  assert.deepEqual(waited, [56, 16, 30, 120, 40, 116, 40, 40]);
  assert.equal(answers.length, 0);
  assert.equal(MAX_PROBLEMS, 3);
});

test("listening on stops when it is told, or the channel is over", async () => {
  const stop = new AbortController();
  let asked = 0;
  const parts = { newest: null, pause: async () => {}, onSong: () => {}, onProblem: () => null, now: () => heard };
  await keepListening({ ...parts, ask: async () => { asked += 1; stop.abort(); return playing("A", 5); }, signal: stop.signal });
  await keepListening({ ...parts, ask: async () => { asked += 1; throw new Error("not live"); }, signal: new AbortController().signal });
  assert.equal(asked, 2);
});
