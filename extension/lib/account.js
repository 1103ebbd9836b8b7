/** Credentials for the configured server: how they are obtained, renewed, sent and revoked. */

import * as api from "./api.js";
import { ProblemError } from "./problem.js";
import * as signIn from "./sign_in.js";
import * as storage from "./storage.js";
import { secrets } from "./storage.js";

/** The scope to ask for when the server does not name its own: none, unless only subscribers may ask. */
const SUBSCRIPTIONS = "user:read:subscriptions";

/** @type {api.Network} */
export const network = { fetch: (...given) => fetch(...given), online: () => navigator.onLine };

/** @param {string} server */
export async function serverStatus(server) {
  const status = api.status((await api.call(network, server, "/status")).body);
  await storage.rememberReached(server);
  return status;
}

/** @param {ServerStatus} status */
export function scopesOf(status) {
  if (Array.isArray(status.twitch_scopes)) return status.twitch_scopes.filter((scope) => /^[a-z:]{1,60}$/.test(scope));
  return status.access_mode === "subscribers" ? [SUBSCRIPTIONS] : [];
}

/**
 * The server's Twitch application and the scopes that a sign-in asks for. Throws ProblemError `sign-in-off`.
 * @param {string} server
 */
async function application(server) {
  const status = await serverStatus(server);
  if (!status.twitch_client_id) throw new ProblemError("sign-in-off");
  return { clientId: status.twitch_client_id, scopes: scopesOf(status) };
}

/** @param {Secret | undefined} secret @returns {api.Credential} */
function credential(secret) {
  if (!secret) return null;
  return { kind: "bearer", value: secret.kind === "twitch" ? secret.token : secret.key };
}

/**
 * Sends a request with the secret of this server, if there is one. A Twitch token that has run out is renewed once,
 * without asking; when that does not work it is dropped.
 * @param {string} server
 * @param {string} path
 * @param {api.Call} [call]
 * @param {boolean} [anonymous] leaves the secret out
 */
export async function callAs(server, path, call = {}, anonymous = false) {
  const secret = anonymous ? undefined : await secrets.get(server);
  try {
    return await api.call(network, server, path, { ...call, credential: credential(secret) });
  } catch (error) {
    const stale = error instanceof ProblemError && ["token-invalid", "token-wrong-client"].includes(error.code);
    if (!stale || secret?.kind !== "twitch") throw error;
    const renewed = await renew(server, secret);
    if (!renewed) throw error;
    return api.call(network, server, path, { ...call, credential: credential(renewed) });
  }
}

/** @param {string} server @param {Extract<Secret, { kind: "twitch" }>} secret @returns {Promise<Secret | null>} */
async function renew(server, secret) {
  try {
    const { clientId, scopes } = await application(server);
    const got = secret.refreshToken
      ? await signIn.refreshed(clientId, secret.refreshToken)
      : { token: await signIn.tokenByWindow(clientId, scopes, false), refreshToken: undefined };
    return await keep(server, clientId, scopes, got);
  } catch {
    await secrets.remove(server);
    return null;
  }
}

/**
 * Stores a token after the server has confirmed it and named its user.
 * @param {string} server
 * @param {string} clientId
 * @param {string[]} scopes
 * @param {{ token: string, refreshToken?: string | undefined }} got
 * @returns {Promise<Secret>}
 */
async function keep(server, clientId, scopes, got) {
  const { body } = await api.call(network, server, "/me", { credential: { kind: "bearer", value: got.token } });
  /** @type {Secret} */
  const secret = { kind: "twitch", token: got.token, clientId, scopes, login: String(body.login ?? "") };
  if (got.refreshToken) secret.refreshToken = got.refreshToken;
  await secrets.set(server, secret);
  return secret;
}

/** @param {string} server */
export async function signInByWindow(server) {
  const { clientId, scopes } = await application(server);
  await keep(server, clientId, scopes, { token: await signIn.tokenByWindow(clientId, scopes, true) });
}

/** @param {string} server */
export async function startDevice(server) {
  const { clientId, scopes } = await application(server);
  return signIn.startDevice(clientId, scopes);
}

/** @param {string} server @param {string} device @returns {Promise<boolean>} whether the sign-in is complete */
export async function pollDevice(server, device) {
  const { clientId, scopes } = await application(server);
  const got = await signIn.pollDevice(clientId, scopes, device);
  if (got) await keep(server, clientId, scopes, got);
  return got !== null;
}

/** Forgets the secret; a Twitch token is revoked. @param {string} server */
export async function signOut(server) {
  const secret = await secrets.get(server);
  await secrets.remove(server);
  if (secret?.kind === "twitch") await signIn.revoke(secret.clientId, secret.token);
}

/** Stores an API key after the server has accepted it. @param {string} server @param {string} key */
export async function useKey(server, key) {
  if (!/^ta_[\x21-\x7e]{10,200}$/.test(key)) throw new ProblemError("key-invalid");
  await api.call(network, server, "/me", { credential: { kind: "bearer", value: key } });
  await signOut(server);
  await secrets.set(server, { kind: "key", key });
}

/** @param {string} server @returns {Promise<Account>} */
export async function account(server) {
  const secret = await secrets.get(server);
  if (!secret) return { kind: "none", login: null };
  return secret.kind === "twitch" ? { kind: "twitch", login: secret.login } : { kind: "key", login: null };
}
