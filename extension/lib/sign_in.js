/** Signing in with Twitch, in the extension's own name: the implicit grant in a window, or a code on any device. */

import { ProblemError } from "./problem.js";

const TWITCH = "https://id.twitch.tv/oauth2";
const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const SECONDS = 15;

/** Where Twitch sends the user back to; the browser catches it. The operator registers exactly this address at Twitch. */
export function redirectAddress() {
  return browser.identity.getRedirectURL("twitch");
}

/**
 * @param {string} clientId
 * @param {readonly string[]} scopes
 * @param {string} state
 * @param {string} redirect
 */
export function authorizeAddress(clientId, scopes, state, redirect) {
  const query = { client_id: clientId, redirect_uri: redirect, response_type: "token", scope: scopes.join(" "), state };
  return `${TWITCH}/authorize?${new URLSearchParams(query)}`;
}

/**
 * The token in the address that Twitch sent the user back to. Success comes in the fragment, denial in the query.
 * @param {string} address
 * @param {string} state
 * @param {string} redirect
 */
export function tokenFrom(address, state, redirect) {
  if (!URL.canParse(address) || !address.startsWith(redirect)) throw new ProblemError("sign-in-failed");
  const url = new URL(address);
  const fragment = new URLSearchParams(url.hash.slice(1));
  const query = url.searchParams;
  if ((fragment.get("state") ?? query.get("state")) !== state) throw new ProblemError("sign-in-failed");
  if (query.has("error") || fragment.has("error")) {
    throw new ProblemError((query.get("error") ?? fragment.get("error")) === "access_denied" ? "sign-in-cancelled" : "sign-in-failed");
  }
  const token = fragment.get("access_token");
  if (!token || !/^[a-z0-9]{20,100}$/i.test(token)) throw new ProblemError("sign-in-failed");
  return token;
}

/**
 * A user token through Twitch's sign-in window. `interactive: false` succeeds only if Twitch needs no input.
 * @param {string} clientId
 * @param {readonly string[]} scopes
 * @param {boolean} interactive
 */
export async function tokenByWindow(clientId, scopes, interactive) {
  const redirect = redirectAddress();
  const state = randomText();
  const url = authorizeAddress(clientId, scopes, state, redirect);
  let address;
  try {
    address = await browser.identity.launchWebAuthFlow({ url, interactive });
  } catch (error) {
    throw new ProblemError(/load/i.test(String(error)) ? "sign-in-failed" : "sign-in-cancelled");
  }
  if (!address) throw new ProblemError("sign-in-cancelled");
  return tokenFrom(address, state, redirect);
}

function randomText() {
  return [...crypto.getRandomValues(new Uint8Array(24))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} path
 * @param {Record<string, string>} form
 * @returns {Promise<{ ok: boolean, body: any }>}
 */
async function post(path, form) {
  try {
    const response = await fetch(`${TWITCH}/${path}`, {
      method: "POST",
      body: new URLSearchParams(form),
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(SECONDS * 1000),
    });
    const text = await response.text();
    return { ok: response.ok, body: text ? JSON.parse(text) : null };
  } catch {
    throw new ProblemError("sign-in-failed");
  }
}

/**
 * Begins a sign-in with a code.
 * @param {string} clientId
 * @param {readonly string[]} scopes
 */
export async function startDevice(clientId, scopes) {
  const { ok, body } = await post("device", { client_id: clientId, scopes: scopes.join(" ") });
  const address = String(body?.verification_uri ?? "");
  const safe = URL.canParse(address) && new URL(address).protocol === "https:" && /(^|\.)twitch\.tv$/.test(new URL(address).hostname);
  if (!ok || typeof body?.device_code !== "string" || !safe) throw new ProblemError("sign-in-failed");
  const interval = Math.min(30, Math.max(1, Number(body.interval) || 5));
  return { device: body.device_code, code: String(body.user_code), address, interval };
}

/**
 * Asks once whether the code was entered; null while it was not.
 * @param {string} clientId
 * @param {readonly string[]} scopes
 * @param {string} device
 */
export async function pollDevice(clientId, scopes, device) {
  const form = { client_id: clientId, scopes: scopes.join(" "), device_code: device, grant_type: DEVICE_GRANT };
  const { ok, body } = await post("token", form);
  if (ok) return tokens(body);
  if (/pending|slow/i.test(String(body?.message))) return null;
  throw new ProblemError("sign-in-failed");
}

/**
 * A new token for a refresh token, which only sign-ins with a device code have.
 * @param {string} clientId
 * @param {string} refreshToken
 */
export async function refreshed(clientId, refreshToken) {
  const { ok, body } = await post("token", { client_id: clientId, refresh_token: refreshToken, grant_type: "refresh_token" });
  if (!ok) throw new ProblemError("token-invalid");
  return tokens(body);
}

/** @param {any} body */
function tokens(body) {
  if (typeof body?.access_token !== "string") throw new ProblemError("sign-in-failed");
  const refreshToken = typeof body.refresh_token === "string" ? body.refresh_token : undefined;
  return { token: body.access_token, refreshToken };
}

/**
 * Revokes a token at Twitch. Never throws: signing out works without Twitch, too.
 * @param {string} clientId
 * @param {string} token
 */
export async function revoke(clientId, token) {
  try {
    const { ok } = await post("revoke", { client_id: clientId, token });
    return ok;
  } catch {
    return false;
  }
}
