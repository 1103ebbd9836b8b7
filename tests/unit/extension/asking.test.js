/** The asking loop and its table of states, on a clock of the test's own: run by Node, from test_library.py. */
import assert from "node:assert/strict";
import { test } from "node:test";

import "../../../extension/lib/states.js";
import "../../../extension/lib/asking.js";
import "./edges.js";

const { states, asking } = globalThis.twitchaudio;
const WORKING = { state: "working", id: "x", stage: 1, blocked: false, wait: null };
const FOUND = { state: "found", id: "x" };
const refusal = (code, more = {}) => ({ state: "error", code, wait: null, passing: true, final: false, actions: [], ...more });
const LOST = refusal("not-found");

/**
 * A background whose replies are in the test's hand: `reply(name, request, at)` gives a view, throws, or never ends.
 * Time passes only while something waits.
 */
function stand(reply) {
  const clock = { now: 0, timers: [] };
  const sent = [];
  const shown = [];
  const wait = (ms, signal) => new Promise((resolve) => {
    const timer = { at: clock.now + ms, resolve };
    clock.timers.push(timer);
    signal?.addEventListener("abort", () => { clock.timers = clock.timers.filter((each) => each !== timer); resolve(); });
    if (signal?.aborted) resolve();
  });
  const send = async (name, request) => {
    sent.push({ name, at: clock.now, ...request });
    return reply(name, request, clock.now, wait);
  };
  const problem = (code, after = null) => refusal(code, { wait: after });
  const loop = asking.create({ send, show: (view) => shown.push(view), problem, now: () => clock.now, wait });
  return {
    sent, shown, loop, clock,
    /** Lets time pass, one timer after the other, until a promise is settled. */
    async until(promise) {
      let done = false;
      promise.finally(() => { done = true; });
      for (let turn = 0; !done && turn < 5000; turn++) {
        await new Promise((resolve) => setImmediate(resolve));
        if (done) break;
        clock.timers.sort((one, other) => one.at - other.at);
        const timer = clock.timers.shift();
        if (!timer) continue;
        clock.now = Math.max(clock.now, timer.at);
        timer.resolve();
      }
      assert.ok(done, "it never ends");
      return promise;
    },
  };
}
const question = () => ({ channel: "c" });
const gaps = (sent) => sent.slice(1).map(({ at }, index) => at - sent[index].at);

test("a server that says running at once is asked at a floor, ever more seldom, and not for ever", async () => {
  const { sent, shown, loop, until, clock } = stand(() => WORKING);
  const view = await until(loop.ask(question));
  assert.equal(view.code, "job-slow");
  assert.equal(shown.at(-1), view);
  assert.equal(loop.state, "error");
  assert.ok(clock.now <= asking.MAX_QUESTION_MS);
  assert.ok(clock.now > asking.MAX_QUESTION_MS - 11_000);
  assert.ok(Math.min(...gaps(sent)) >= asking.FLOOR_MS);
  assert.ok(sent.length < 30, `${sent.length} requests`);
  assert.ok(gaps(sent).at(-1) >= 5000);
  assert.equal(sent.filter(({ name }) => name === "ask").length, 1);
});

test("a server that holds requests is asked again at once, and the answer ends the loop", async () => {
  const { sent, shown, loop, until } = stand(async (name, _, at, wait) => {
    await wait(1000);
    return at >= 6000 ? FOUND : WORKING;
  });
  assert.equal(await until(loop.ask(question)), FOUND);
  assert.deepEqual(gaps(sent), Array(6).fill(1000));
  assert.deepEqual(shown.map(({ state }) => state), [...Array(7).fill("working"), "found"]);
});

test("Retry-After is obeyed: of a running job, of a poll that is refused, and never past the bound", async () => {
  const slow = stand((name, _, at) => (at >= 30_000 ? FOUND : { ...WORKING, wait: 7 }));
  await slow.until(slow.loop.ask(question));
  assert.ok(Math.min(...gaps(slow.sent)) >= 7000);
  for (const code of ["rate-limited", "busy", "upstream-unavailable", "internal"]) {
    let times = 0;
    const refused = stand((name) => (name === "ask" ? WORKING : times++ === 0 ? refusal(code, { wait: 12 }) : FOUND));
    assert.equal(await refused.until(refused.loop.ask(question)), FOUND, code);
    assert.ok(gaps(refused.sent)[1] >= 12_000, code);
  }
  const never = stand((name) => (name === "ask" ? { ...WORKING, wait: 3600 } : FOUND));
  const late = await never.until(never.loop.ask(question));
  assert.deepEqual([late.code, late.wait, never.sent.length], ["job-slow", 3600, 1]);
});

test("a refusal of the question itself is shown at once", async () => {
  for (const code of ["rate-limited", "busy", "login-required", "gateway-error", "not-found"]) {
    const { sent, loop, until } = stand(() => refusal(code));
    assert.equal((await until(loop.ask(question))).code, code);
    assert.equal(sent.length, 1, code);
  }
});

test("a job that the server forgets is started again, but not for ever", async () => {
  const { sent, loop, until } = stand((name) => (name === "ask" ? WORKING : LOST));
  assert.equal((await until(loop.ask(question))).code, "not-found");
  assert.equal(sent.filter(({ name }) => name === "ask").length, 3);
  assert.ok(Math.min(...gaps(sent)) >= asking.FLOOR_MS);
});

test("a server that is away while a job runs is waited for; one that stays away ends the question", async () => {
  let away = 3;
  const back = stand((name) => (name === "ask" ? WORKING : away-- > 0 ? refusal("gateway-error") : FOUND));
  assert.equal(await back.until(back.loop.ask(question)), FOUND);
  const gone = stand((name) => (name === "ask" ? WORKING : refusal("server-unreachable")));
  assert.equal((await gone.until(gone.loop.ask(question))).code, "server-unreachable");
  assert.ok(gone.sent.length <= 7);
  const failed = stand((name) => (name === "ask" ? WORKING : refusal("internal", { final: true })));
  await failed.until(failed.loop.ask(question));
  assert.equal(failed.sent.length, 2, "a job that has failed is not asked about again");
  const barred = stand((name) => (name === "ask" ? WORKING : refusal("token-invalid", { passing: false })));
  assert.equal((await barred.until(barred.loop.ask(question))).code, "token-invalid");
});

test("an earlier question is waited for, and this one follows by itself; not for ever", async () => {
  const { sent, shown, loop, until } = stand((name, _, at) => (at < 11_000 ? refusal("job-in-progress", { wait: 5 }) : FOUND));
  assert.equal(await until(loop.ask(question)), FOUND);
  assert.deepEqual(gaps(sent), [5000, 5000, 5000]);
  assert.ok(shown.some((view) => view.blocked));
  const stuck = stand(() => refusal("job-in-progress", { wait: 5 }));
  assert.equal((await stuck.until(stuck.loop.ask(question))).code, "job-in-progress");
  assert.ok(stuck.clock.now <= 45_000);
});

test("closing, leaving and another question end a question: nothing is sent or shown afterwards", async () => {
  for (const end of ["close", "leave"]) {
    const { sent, shown, loop, until } = stand(() => WORKING);
    const asked = loop.ask(question);
    await new Promise((resolve) => setImmediate(resolve));
    loop.end(end);
    assert.equal(await until(asked), null);
    assert.deepEqual([loop.state, sent.length], ["idle", 1]);
    assert.ok(shown.every(({ state }) => state === "working"));
  }
  const two = stand((name, { question: asked }) => (asked?.channel === "b" ? FOUND : WORKING));
  const first = two.loop.ask(question);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await two.until(two.loop.ask(() => ({ channel: "b" }))), FOUND);
  assert.equal(await first, null);
});

test("a background that is silent, and an extension that was updated, end a question with a sentence", async () => {
  const silent = stand(() => { throw new asking.NoReplyError("silent"); });
  assert.equal((await silent.until(silent.loop.ask(question))).code, "extension-silent");
  const updated = stand((name) => { if (name === "poll") throw new asking.NoReplyError("updated"); return WORKING; });
  assert.equal((await updated.until(updated.loop.ask(question))).code, "extension-updated");
  const hanging = stand(() => new Promise(() => {}));
  assert.equal((await hanging.until(hanging.loop.ask(question))).code, "extension-silent");
  assert.ok(hanging.clock.now <= asking.MAX_QUESTION_MS);
  const window_ = stand(() => new Promise(() => {}));
  assert.equal((await window_.until(window_.loop.signIn(question))).code, "extension-silent");
  const dead = stand(() => WORKING);
  const asked = dead.loop.ask(question);
  await new Promise((resolve) => setImmediate(resolve));
  dead.loop.updated();
  assert.equal(await dead.until(asked), null);
  assert.deepEqual([dead.loop.state, dead.shown.at(-1).code], ["error", "extension-updated"]);
});

test("signing in goes on to the question, or says why not", async () => {
  const well = stand((name) => (name === "sign-in" ? null : FOUND));
  assert.equal(await well.until(well.loop.signIn(question)), FOUND);
  const not = stand(() => refusal("sign-in-cancelled"));
  assert.equal((await not.until(not.loop.signIn(question))).code, "sign-in-cancelled");
});

test("messages are sent again while the browser restarts the background, a few times", async () => {
  let [tried, alive, waited] = [0, true, 0];
  const wait = async (ms) => { waited += ms; };
  const send = (deliver) => asking.sender(deliver, () => alive, wait)("settings", {});
  assert.equal(await send(async () => (++tried < 3 ? undefined : "reply")), "reply");
  tried = 0;
  await assert.rejects(send(async () => { tried += 1; throw new Error("no receiver"); }), (error) => error.event === "silent");
  assert.equal(tried, 6);
  assert.ok(waited > 3000 && waited < 12_000);
  await assert.rejects(send(async () => { alive = false; throw new Error("Extension context invalidated."); }), (error) => error.event === "updated");
});

test("the table is whole: every state has an end, and a way to ask again", () => {
  const { STATES, EVENTS, next, shownAs } = states;
  assert.deepEqual(new Set(STATES.map(shownAs)), new Set(["idle", "working", "found", "none", "error"]));
  for (const state of STATES) {
    for (const event of EVENTS) assert.ok(STATES.includes(next(state, event)), `${state} ${event}`);
    assert.equal(next(state, "close"), "idle");
    assert.equal(next(state, "leave"), "idle");
    assert.equal(next(state, "ask"), "asking");
    if (shownAs(state) !== "working") continue;
    for (const event of ["refused", "late", "silent", "updated"]) assert.equal(next(state, event), "error", `${state} ${event}`);
  }
  for (const event of EVENTS.filter((each) => !["ask", "sign-in", "known"].includes(each))) {
    assert.equal(next("idle", event), "idle", `${event} comes too late for a closed panel`);
  }
  const reached = new Set(["idle"]);
  for (let round = 0; round < STATES.length; round++) {
    for (const state of [...reached]) for (const event of EVENTS) reached.add(next(state, event));
  }
  assert.deepEqual([...reached].sort(), [...STATES].sort());
});

test("the loop goes each edge of the table, and shows the state that it comes to", async () => {
  const { faults, walked } = await globalThis.walkEdges();
  assert.deepEqual(faults, []);
  assert.ok(walked.length >= 71, walked.join());
});
