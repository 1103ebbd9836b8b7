/**
 * Walks the table of states with the real asking loop: from each state, each event that can happen there. A classic
 * script, so that Node and both browsers run the same file. The replies and the clock are in its own hand.
 */
"use strict";

globalThis.walkEdges = async () => {
  const { states, asking } = globalThis.twitchaudio;
  const VIEWS = {
    running: { state: "working", id: "x", stage: 1, blocked: false, wait: null },
    found: { state: "found", id: "x" },
    none: { state: "none", id: "x" },
    lost: refusal("not-found"),
    blocked: refusal("job-in-progress"),
    refused: refusal("subscription-required", { passing: false }),
  };
  const question = () => ({ channel: "c" });

  function refusal(code, more = {}) {
    return { state: "error", code, wait: null, passing: true, final: false, actions: [], ...more };
  }

  /** Lets everything run that waits for nothing but other promises. */
  const settled = () => new Promise((resolve) => { setTimeout(resolve, 0); });

  /** A loop whose requests and pauses stay open until the walk ends them. */
  function stand() {
    const open = { replies: [], pauses: [], now: 0, shown: [] };
    const wait = (ms, signal) => new Promise((resolve) => {
      open.pauses.push({ ms, resolve });
      signal?.addEventListener("abort", resolve);
    });
    const send = () => new Promise((resolve, reject) => { open.replies.push({ resolve, reject }); });
    const loop = asking.create({ send, show: (view) => open.shown.push(view), problem: refusal, now: () => open.now, wait });
    return { open, loop };
  }

  /** Ends the pause before the next request, if one is on. */
  async function nextRequest({ open }) {
    if (open.replies.length === 0) open.pauses.filter(({ ms }) => ms <= 10_000).forEach(({ resolve }) => resolve());
    await settled();
  }

  async function reply(at, act) {
    await nextRequest(at);
    const request = at.open.replies.shift();
    if (!request) return false;
    act(request);
    await settled();
    return true;
  }

  const answered = (name) => (at) => reply(at, (request) => request.resolve(VIEWS[name]));
  const REACH = {
    idle: async () => {},
    asking: async ({ loop }) => void loop.ask(question),
    running: async (at) => { at.loop.ask(question); await settled(); await answered("running")(at); },
    blocked: async (at) => { at.loop.ask(question); await settled(); await answered("blocked")(at); },
    signing: async ({ loop }) => void loop.signIn(question),
    found: async (at) => { at.loop.ask(question); await settled(); await answered("found")(at); },
    none: async (at) => { at.loop.ask(question); await settled(); await answered("none")(at); },
    error: async (at) => { at.loop.ask(question); await settled(); await answered("refused")(at); },
  };
  /** Each gives false where the event cannot happen: no request is open whose reply it is. */
  const FIRE = {
    "ask": async ({ loop }) => { loop.ask(question); await settled(); return true; },
    "sign-in": async ({ loop }) => { loop.signIn(question); await settled(); return true; },
    "known": async ({ loop }) => { loop.known(VIEWS.found); return true; },
    "close": async ({ loop }) => { loop.end("close"); await settled(); return true; },
    "leave": async ({ loop }) => { loop.end("leave"); await settled(); return true; },
    "updated": async ({ loop }) => { loop.updated(); await settled(); return true; },
    "silent": (at) => reply(at, (request) => request.reject(new asking.NoReplyError("silent"))),
    "late": async (at) => {
      await nextRequest(at);
      if (at.open.replies.length === 0) return false;
      at.open.now = asking.MAX_QUESTION_MS;
      return reply(at, (request) => request.resolve(VIEWS.running));
    },
    "running": answered("running"), "found": answered("found"), "none": answered("none"),
    "blocked": answered("blocked"), "refused": answered("refused"), "lost": answered("lost"),
  };
  /** A reply to a sign-in is a refusal or nothing: the events of a running question do not reach it. */
  const NOT_OF_SIGN_IN = new Set(["running", "found", "none", "blocked", "lost", "late"]);
  /** Only a job that has begun can be lost or be refused a place. */
  const ONLY_FROM = { lost: ["running"], blocked: ["asking", "blocked"] };

  const faults = [];
  const walked = [];
  for (const state of states.STATES) {
    for (const event of states.EVENTS) {
      if (state === "signing" && NOT_OF_SIGN_IN.has(event)) continue;
      if (ONLY_FROM[event] && !ONLY_FROM[event].includes(state)) continue;
      const at = stand();
      await REACH[state](at);
      await settled();
      if (at.loop.state !== state) faults.push(`${state} is not reached: ${at.loop.state}`);
      if (!(await FIRE[event](at))) continue;
      walked.push(`${state} ${event}`);
      const next = states.next(state, event);
      if (at.loop.state !== next) faults.push(`${state} ${event}: ${at.loop.state} in place of ${next}`);
      const last = at.open.shown.at(-1)?.state;
      const isShown = next === "idle" || last === states.shownAs(next) || (next === state && state === "idle");
      if (!isShown) faults.push(`${state} ${event}: ${last} is shown in ${next}`);
      at.loop.end("close");
    }
  }
  return { faults, walked };
};
