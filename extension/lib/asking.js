/**
 * The one loop that asks: used by the page and by the pop-up. It starts a job, polls it with a floor between requests
 * and back-off, obeys `Retry-After`, and ends by itself. No DOM; the background, the clock and the words are passed in.
 *
 * A classic script, since content scripts cannot be modules: modules import it for its global.
 */
"use strict";

globalThis.twitchaudio = /** @type {TwitchAudioContent} */ (globalThis.twitchaudio ?? {});

twitchaudio.asking = (() => {
  const { next, shownAs } = twitchaudio.states;

  /** The shortest time from one request to the next. The server holds a request for a second if it can. */
  const FLOOR_MS = 1000;
  /** So many requests come at the floor; then each pause is longer than the last. */
  const QUICK_REQUESTS = 8;
  const BACK_OFF = 1.4;
  const LONGEST_PAUSE_MS = 10_000;
  /** A question ends after so long, and after so many requests. */
  const MAX_QUESTION_MS = 90_000;
  const MAX_REQUESTS = 40;
  /** How long an earlier question of the same viewer is waited for. */
  const MAX_BLOCKED_MS = 45_000;
  const BLOCKED_PAUSE_MS = 2000;
  /** How often the server may forget a job that it has just started. */
  const MAX_LOST = 2;
  /** How often in a row a poll may fail for a reason that passes, such as a server that is restarted. */
  const MAX_FAILURES = 5;
  const MAX_SIGN_IN_MS = 300_000;

  /** Earlier moments of a live channel that are offered, in seconds. */
  const EARLIER_SECONDS = [30, 60, 120, 300];

  /** A message is sent so often: the browser may stop and restart the background at any moment. */
  const MAX_TRIES = 6;
  const FIRST_RETRY_MS = 150;

  /** A message that got no reply: `updated` when the extension was updated or removed in the meantime. */
  class NoReplyError extends Error {
    /** @param {"silent" | "updated"} event */
    constructor(event) {
      super(event);
      this.event = event;
    }
  }

  /** @param {number} ms @param {AbortSignal} [signal] ends the wait early @returns {Promise<void>} */
  function pause(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const timer = setTimeout(resolve, ms);
      signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }

  /**
   * A function that sends messages, each again when the background was stopped in the middle of it.
   * @param {(message: object) => Promise<any>} deliver
   * @param {() => boolean} alive whether this script still belongs to the installed extension
   * @param {typeof pause} [wait]
   * @returns {Send}
   */
  function sender(deliver, alive, wait = pause) {
    return async (name, request) => {
      for (let tried = 1; ; tried++) {
        if (!alive()) throw new NoReplyError("updated");
        try {
          const reply = await deliver({ name, ...request });
          if (reply !== undefined) return reply;
        } catch {
          if (!alive()) throw new NoReplyError("updated");
        }
        if (tried >= MAX_TRIES) throw new NoReplyError("silent");
        await wait(FIRST_RETRY_MS * 2 ** (tried - 1));
      }
    };
  }

  /** @param {unknown} error */
  function eventOf(error) {
    return error instanceof NoReplyError ? error.event : "silent";
  }

  /**
   * @param {AskingParts} parts
   * @returns {Asking}
   */
  function create({ send, show, problem, now = () => performance.now(), wait = pause }) {
    /** @type {AskingState} */
    let state = "idle";
    /** Aborted when the question ends: by an answer, by another question, or by the viewer. */
    let over = new AbortController();

    /** @param {AskingEvent} event @param {View | null} view what is shown then */
    function move(event, view) {
      state = next(state, event);
      if (view !== null && view.state === shownAs(state)) show(view);
      return view;
    }

    function begin() {
      over.abort();
      over = new AbortController();
      return over.signal;
    }

    /**
     * A reply, or null when the question was ended meanwhile. Throws NoReplyError after `most` milliseconds.
     * @template T
     * @param {Promise<T>} reply
     * @param {AbortSignal} signal
     * @param {number} most
     * @returns {Promise<T | null>}
     */
    async function within(reply, signal, most) {
      const done = new AbortController();
      const ended = AbortSignal.any([signal, done.signal]);
      const nothing = wait(most, ended).then(() => {
        if (!ended.aborted) throw new NoReplyError("silent");
        return null;
      });
      try {
        return await Promise.race([reply, nothing]);
      } finally {
        done.abort();
      }
    }

    /**
     * @param {() => Question | Promise<Question>} question read once, when the asking begins
     * @param {AskingWay} [way]
     * @returns {Promise<View | null>}
     */
    async function ask(question, way = {}) {
      const signal = begin();
      /** @param {AskingEvent} event @param {View} view */
      const end = (event, view) => (signal.aborted ? null : move(event, view));
      const began = now();
      let pauseMs = FLOOR_MS;
      let [requests, lost, failures, blockedAt] = [0, 0, 0, Infinity];
      /** @type {string | null} */
      let id = null;
      move("ask", { state: "working", id: null, stage: 0, blocked: false, wait: null });
      try {
        const asked = await question();
        const moment = "ago" in asked && asked.ago ? { ago: asked.ago } : {};
        while (!signal.aborted) {
          const started = now();
          requests += 1;
          const left = Math.max(FLOOR_MS, began + MAX_QUESTION_MS - started);
          /** @type {View | null} */
          const view = await within(id === null ? send("ask", { question: asked, ...way }) : send("poll", { id, ...moment }), signal, left);
          if (view === null || signal.aborted) return null;
          const told = view.state === "working" || view.state === "error" ? (view.wait ?? 0) * 1000 : 0;
          let rest = Math.max(pauseMs, told);
          if (view.state === "found" || view.state === "none") return end(view.state, view);
          if (view.state === "working") {
            failures = 0;
            id = view.id;
            move("running", view);
          } else if (id === null && view.code === "job-in-progress") {
            blockedAt = Math.min(blockedAt, started);
            rest = Math.max(rest, BLOCKED_PAUSE_MS);
            if (now() + rest - blockedAt > MAX_BLOCKED_MS) return end("refused", view);
            move("blocked", { state: "working", id: null, stage: 0, blocked: true, wait: null });
          } else if (id !== null && view.code === "not-found" && !view.final && lost < MAX_LOST) {
            lost += 1;
            id = null;
            move("lost", null);
          } else if (id !== null && view.passing && !view.final && failures < MAX_FAILURES) {
            failures += 1;
            rest = Math.max(Math.min(LONGEST_PAUSE_MS, FLOOR_MS * 2 ** failures), told);
          } else {
            return end("refused", view);
          }
          if (requests >= MAX_REQUESTS || now() + rest > began + MAX_QUESTION_MS) {
            return end("late", view.state === "error" ? view : problem("job-slow", told > pauseMs ? told / 1000 : null));
          }
          await wait(Math.max(0, started + rest - now()), signal);
          if (requests >= QUICK_REQUESTS) pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * BACK_OFF);
        }
        return null;
      } catch (error) {
        const event = eventOf(error);
        return end(event, problem(event === "updated" ? "extension-updated" : "extension-silent"));
      }
    }

    /**
     * Signs in, and asks then.
     * @param {() => Question | Promise<Question>} question
     * @param {AskingWay} [way]
     * @returns {Promise<View | null>}
     */
    async function signIn(question, way = {}) {
      const signal = begin();
      move("sign-in", { state: "working", id: null, stage: 0, blocked: false, wait: null });
      try {
        const refusal = await within(send("sign-in", {}).then((reply) => ({ reply })), signal, MAX_SIGN_IN_MS);
        if (refusal === null || signal.aborted) return null;
        return refusal.reply ? move("refused", refusal.reply) : await ask(question, way);
      } catch (error) {
        if (signal.aborted) return null;
        const event = eventOf(error);
        return move(event, problem(event === "updated" ? "extension-updated" : "extension-silent"));
      }
    }

    return {
      ask,
      signIn,
      /** Shows an answer that was stored; not over one that is shown already. @param {Found} view */
      known: (view) => move("known", state === "idle" ? view : null),
      /** @param {"close" | "leave"} event */
      end(event) {
        over.abort();
        move(event, null);
      },
      /** The extension was updated: a question that runs ends with that sentence. */
      updated() {
        if (state === "idle") return;
        over.abort();
        move("updated", problem("extension-updated"));
      },
      get state() { return state; },
    };
  }

  return { FLOOR_MS, MAX_QUESTION_MS, EARLIER_SECONDS, create, sender, NoReplyError };
})();
