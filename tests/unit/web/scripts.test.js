/** The website's scripts without a browser: run by Node on the files as they are served, from test_scripts.py. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const served = (name) => import(`${pathToFileURL(process.env.SERVED)}/js/${name}`);
const { IDLE, answerTexts, problemTexts } = await served("answer_texts.js");
const { clockText } = await served("lib/answer.js");
const { english, momentText } = await served("times.js");
const api = await served("api.js");
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
  assert.deepEqual([english(["de", "en-US"]), english(["fr"])], ["en-US", "en-GB"]);
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
