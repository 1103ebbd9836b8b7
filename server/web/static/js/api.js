/** The parts of the HTTP API that the start page uses. Failures are ProblemErrors; `network` when nothing answers. */

import { detailText, gettext } from "./messages.js";
import { root } from "./root.js";

const BASE = `${root}/api/v1/identifications`;
const ANSWER_MS = 10_000;
const POLL_MS = 500;
/** The server ends a job after 30 s. */
const FOLLOW_MS = 45_000;

export class ProblemError extends Error {
  /** @param {Pick<ProblemOfServer, "code" | "detail" | "retry_after_seconds">} problem */
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Identification>}
 */
async function request(path, init) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(ANSWER_MS), ...init });
  } catch {
    throw new ProblemError({ code: "network", detail: "" });
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new ProblemError(body?.code ? body : { code: "internal", detail: `The server answered ${response.status}.` });
}

/**
 * The header that proves to the server that our own page sends a request; none for visitors who are not signed in.
 * @returns {Record<string, string>}
 */
export function csrf() {
  /** @type {HTMLMetaElement | null} */
  const token = document.querySelector('meta[name="csrf-token"]');
  return token ? { "X-CSRF-Token": token.content } : {};
}

/**
 * Starts a job, or joins the one that runs for the same target.
 * @param {Question} question
 * @param {boolean} [again] whether an answer of a moment ago is not wanted
 */
export function identify(question, again = false) {
  /** @type {Record<string, string>} */
  const cache = again ? { "Cache-Control": "no-cache" } : {};
  return request(BASE, {
    method: "POST", headers: { "Content-Type": "application/json", ...cache, ...csrf() }, body: JSON.stringify(question),
  });
}

/**
 * Reports that an answer is wrong.
 * @param {string} id
 * @param {string} reason
 * @param {string} note
 */
export async function report(id, reason, note) {
  const response = await fetch(`${BASE}/${encodeURIComponent(id)}/reports`, {
    method: "POST", headers: { "Content-Type": "application/json", ...csrf() }, body: JSON.stringify({ reason, note }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (!response.ok) throw new Error(detailText((await response.json().catch(() => null))?.detail ?? "") || gettext("It could not be sent."));
}

/** Keeps the song of an answer among the finds of the visitor's account, if they are signed in. @param {string} id */
export function keepWithAccount(id) {
  const headers = csrf();
  if (!Object.keys(headers).length) return;
  // Without it, the find is in this browser all the same.
  fetch(`${root}/api/v1/me/finds/${encodeURIComponent(id)}`, { method: "PUT", headers, keepalive: true }).catch(() => {});
}

/** @param {string} id */
export const get = (id) => request(`${BASE}/${encodeURIComponent(id)}`);

/** @param {Identification} identification */
export const isFinished = ({ status }) => ["successful", "no_match", "failed"].includes(status);

/**
 * Gives every state of an identification until it is finished: by server-sent events, or by polling where those
 * do not come through.
 * @param {string} id
 * @param {(identification: Identification) => void} onState
 * @param {AbortSignal} signal
 */
export async function follow(id, onState, signal) {
  if (await followEvents(id, onState, signal)) return;
  const until = performance.now() + FOLLOW_MS;
  while (!signal.aborted) {
    const identification = await get(id);
    if (signal.aborted) return;
    onState(identification);
    if (isFinished(identification)) return;
    if (performance.now() > until) throw new ProblemError({ code: "timeout", detail: "" });
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * @param {string} id
 * @param {(identification: Identification) => void} onState
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} whether the finished state came
 */
function followEvents(id, onState, signal) {
  return new Promise((resolve) => {
    const source = new EventSource(`${BASE}/${encodeURIComponent(id)}/events`);
    const end = (/** @type {boolean} */ seen) => {
      clearTimeout(limit);
      source.close();
      resolve(seen || signal.aborted);
    };
    const limit = setTimeout(() => end(false), FOLLOW_MS);
    const onEvent = (/** @type {MessageEvent<string>} */ event) => {
      const identification = /** @type {Identification} */ (JSON.parse(event.data));
      onState(identification);
      if (isFinished(identification)) end(true);
    };
    source.addEventListener("status", onEvent);
    source.addEventListener("result", onEvent);
    source.addEventListener("error", () => end(false));
    signal.addEventListener("abort", () => end(true), { once: true });
  });
}
