/** The server's HTTP API. It uses no browser API except fetch, which is passed in. */

import { isSafe } from "./address.js";
import { isSong, textOf } from "./answer.js";
import { ProblemError } from "./problem.js";

/** @typedef {{ kind: "bearer", value: string } | null} Credential */
/** @typedef {{ fetch: typeof fetch, online: () => boolean }} Network */
/** @typedef {{ method?: "GET" | "POST", body?: unknown, wait?: number, fresh?: boolean, credential?: Credential }} Call */

export const CALL_SECONDS = 12;
const MAX_BYTES = 1_000_000;

/** In seconds: long enough for most answers, short enough to show each stage of the work. */
export const WAIT_SECONDS = 1;

/**
 * Sends one request. Gives the status and the JSON; throws ProblemError for everything else.
 * @param {Network} network
 * @param {string} server its address, without a slash at the end
 * @param {string} path below /api/v1
 * @param {Call} [call]
 * @returns {Promise<{ status: number, body: any, wait: number | null }>} `wait`: seconds, from `Retry-After`
 */
export async function call(network, server, path, { method = "GET", body, wait, fresh = false, credential = null } = {}) {
  if (!isSafe(server)) throw new ProblemError("address-invalid");
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (wait !== undefined) headers["Prefer"] = `wait=${wait}`;
  if (fresh) headers["Cache-Control"] = "no-cache";
  if (credential) headers["Authorization"] = `Bearer ${credential.value}`;
  let response, content;
  try {
    response = await network.fetch(`${server}/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      // With "no-store" browsers add `Cache-Control: no-cache`, and the server would listen each time. No
      // response to a POST is stored anyway.
      cache: method === "POST" ? "default" : "no-store",
      credentials: "omit",
      redirect: "manual",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(CALL_SECONDS * 1000),
    });
    content = response.type === "opaqueredirect" ? "" : await bounded(response);
  } catch (error) {
    throw unreachable(network, server, error);
  }
  if (response.type === "opaqueredirect") throw new ProblemError("server-redirects");
  if (content === null) throw new ProblemError("not-a-server");
  if (response.status === 204) return { status: 204, body: null, wait: null };
  const json = parsed(content);
  if (response.ok) {
    if (json === null || typeof json !== "object") throw new ProblemError("not-a-server");
    return { status: response.status, body: json, wait: retryAfter(json, response) };
  }
  if (typeof json?.code !== "string") throw new ProblemError(codeOfOther(response.status, json), "", retryAfter(json, response));
  throw new ProblemError(json.code, textOf(json.detail), retryAfter(json, response), textOf(json.title));
}

/** More than any picture of 300 pixels. */
const MAX_PICTURE_BYTES = 200_000;

/**
 * A picture of the server as a `data:` address, which pages may show wherever the server is; null without one.
 * @param {Network} network
 * @param {string} server
 * @param {string} path checked to be a JPEG picture's
 * @returns {Promise<string | null>}
 */
export async function picture(network, server, path) {
  if (!isSafe(server)) return null;
  try {
    const response = await network.fetch(server + path, {
      credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(CALL_SECONDS * 1000),
    });
    if (!response.ok || response.headers.get("Content-Type") !== "image/jpeg") return null;
    if (Number(response.headers.get("Content-Length") ?? Infinity) > MAX_PICTURE_BYTES) return null;
    const bytes = new Uint8Array(await response.arrayBuffer());
    let letters = "";
    for (const byte of bytes) letters += String.fromCharCode(byte);
    return `data:image/jpeg;base64,${btoa(letters)}`;
  } catch {
    return null;
  }
}

/** The body, or null when it is longer than any answer of ours: the rest is not read. @param {Response} response */
async function bounded(response) {
  const decoder = new TextDecoder();
  let [read, bytes] = ["", 0];
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
    if (bytes > MAX_BYTES) {
      await reader.cancel();
      return null;
    }
    read += decoder.decode(value, { stream: true });
  }
  return read + decoder.decode();
}

/**
 * The code for a refusal that is not in our server's form: something between here and there has sent it, such as a
 * reverse proxy whose server is being restarted, or nothing of ours is there.
 * @param {number} http the response's status
 * @param {any} json
 */
function codeOfOther(http, json) {
  if (http === 511) return "refused-on-the-way";
  if ([502, 503, 504].includes(http) || (http >= 500 && json === null)) return "gateway-error";
  if (http === 429) return "rate-limited";
  if ([401, 403, 407, 451].includes(http)) return "refused-on-the-way";
  return "not-a-server";
}

/** @param {Network} network @param {string} server @param {unknown} error */
function unreachable(network, server, error) {
  if (error instanceof DOMException && error.name === "TimeoutError") return new ProblemError("server-slow");
  const local = server.startsWith("http:");
  if (!local && !network.online()) return new ProblemError("offline");
  // Browsers do not tell an extension whether the server did not answer or its certificate was rejected.
  return new ProblemError(local ? "server-unreachable" : "connection-not-secure");
}

/** @param {string} content @returns {any} */
function parsed(content) {
  try {
    return JSON.parse(content);
  } catch {
    return null;
  }
}

/** Seconds: a number, or of a proxy a date (RFC 9110, 10.2.3). @param {any} json @param {Response} response */
function retryAfter(json, response) {
  const header = response.headers.get("Retry-After") ?? "";
  const own = json?.retry_after_seconds;
  const plain = typeof own === "number" ? own : Number(header || NaN);
  const told = Number.isNaN(plain) ? Math.max(0, (Date.parse(header) - Date.now()) / 1000) : plain;
  return Number.isFinite(told) && told >= 0 ? Math.min(told, 3600) : null;
}

const STATUSES = new Set(["queued", "running", "successful", "no_match", "failed"]);

/**
 * The body as an Identification. Throws ProblemError `server-too-old` when it is none.
 * @param {any} body
 * @returns {Identification}
 */
export function identification(body) {
  const whole = typeof body?.id === "string" && STATUSES.has(body.status) && typeof body.stage === "string";
  const found = body?.status !== "successful" || isSong(body.song);
  if (!whole || !found) throw new ProblemError("server-too-old");
  return body;
}

/** @param {any} body @returns {ServerStatus} */
export function status(body) {
  if (typeof body?.access_mode !== "string") {
    throw new ProblemError(body && "version" in body ? "server-too-old" : "not-a-server");
  }
  return body;
}

/**
 * Whether a 404 means that the server has no such route, which older ones lack.
 * @param {unknown} error
 * @param {readonly string[]} meant codes that the route itself answers with
 */
export function asVersionProblem(error, meant) {
  if (error instanceof ProblemError && error.code === "not-found" && !meant.includes("not-found")) return new ProblemError("server-too-old");
  return error;
}
