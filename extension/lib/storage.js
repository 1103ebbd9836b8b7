/**
 * Stores settings, songs and secrets in the browser. Settings and the list of songs are in `storage.local`. Secrets are in this
 * extension's IndexedDB, which neither pages nor content scripts can open in any browser; `storage.local` can be
 * read by content scripts in Firefox. What the browser refuses is done without, where that is possible.
 */

import { DEFAULT_SERVER } from "./address.js";
import { OPERATOR } from "./operator.js";
import { ProblemError } from "./problem.js";

/** @type {Settings} */
const DEFAULTS = { server: DEFAULT_SERVER, button: true, lookup: true, privateSignIn: false };

/**
 * Reads from `storage.local`; the given values when the browser refuses.
 * @template {object} T
 * @param {T} otherwise
 * @returns {Promise<T>}
 */
async function read(otherwise) {
  try {
    return /** @type {T} */ (await browser.storage.local.get({ ...otherwise }));
  } catch {
    return otherwise;
  }
}

/** @returns {Promise<Settings>} */
export async function settings() {
  return read({ ...DEFAULTS });
}

/** Throws ProblemError `storage-refused`. @param {Partial<Settings>} changes */
export async function saveSettings(changes) {
  await browser.storage.local.set(changes).catch(() => { throw new ProblemError("storage-refused"); });
}

/** Whether the viewer has ever chosen a server, rather than being left with the usual one. */
export async function isServerChosen() {
  return OPERATOR !== null || (await read({ server: "" })).server !== "";
}

/** Whether this is the first start ever: true once. */
export async function isFirstRun() {
  const { welcomed } = await read({ welcomed: false });
  if (!welcomed) await browser.storage.local.set({ welcomed: true }).catch(() => {});
  return !welcomed;
}

/** Whether something happens for the first time since the browser was started: true once for each name. @param {string} name */
export async function firstThisSession(name) {
  const kept = await browser.storage.session.get(name).catch(() => ({}));
  const first = !(/** @type {Record<string, unknown>} */ (kept)[name]);
  if (first) await browser.storage.session.set({ [name]: true }).catch(() => {});
  return first;
}

/** @returns {Promise<HistoryEntry[]>} */
export async function history() {
  const { history: list } = await read({ history: [] });
  return Array.isArray(list) ? list : [];
}

/** Notes that a server has answered from here: when it stops, its certificate is not the reason. @param {string} server */
export async function rememberReached(server) {
  if (!(await wasReached(server))) await browser.storage.local.set({ reached: server }).catch(() => {});
}

/** @param {string} server */
export async function wasReached(server) {
  return (await read({ reached: "" })).reached === server;
}

/** @type {Promise<unknown>} */
let lastChange = Promise.resolve();

/**
 * Changes the list of songs; concurrent changes run one after the other.
 * @param {(list: HistoryEntry[]) => HistoryEntry[]} change
 */
export function changeHistory(change) {
  const next = lastChange.then(async () => browser.storage.local.set({ history: change(await history()) }));
  lastChange = next.catch(() => {});
  return lastChange;
}

/** Forgets everything: settings, songs, secrets. */
export async function eraseAll() {
  await Promise.allSettled([browser.storage.local.clear(), browser.storage.session.clear(), secrets.clear()]);
}

const STORE = "secrets";
/** So long the browser may take to open it; then it counts as refused. */
const OPEN_MS = 3000;

/** @returns {Promise<IDBDatabase>} */
function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("twitchaudio", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error);
    // A damaged profile may never answer at all.
    setTimeout(() => reject(new DOMException("it does not open", "TimeoutError")), OPEN_MS);
  });
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} act
 * @returns {Promise<T>}
 */
async function inStore(mode, act) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/**
 * Where secrets are when the browser refuses IndexedDB, as Firefox does when it remembers no history: in
 * `storage.session`, which content scripts cannot read either, until the browser is closed.
 * @param {string} server
 */
const sessionKey = (server) => `secret ${server}`;

/** Secrets, each for the one server that it may be sent to. */
export const secrets = {
  /** @param {string} server @returns {Promise<Secret | undefined>} */
  async get(server) {
    try {
      const kept = await inStore("readonly", (store) => store.get(server));
      if (kept !== undefined) return kept;
    } catch { /* refused */ }
    const kept = await browser.storage.session.get(sessionKey(server)).catch(() => ({}));
    return /** @type {Record<string, Secret | undefined>} */ (kept)[sessionKey(server)];
  },
  /** @param {string} server @param {Secret} secret */
  async set(server, secret) {
    try {
      await inStore("readwrite", (store) => store.put(secret, server));
    } catch {
      await browser.storage.session.set({ [sessionKey(server)]: secret })
        .catch(() => { throw new ProblemError("storage-refused"); });
    }
  },
  /** @param {string} server */
  async remove(server) {
    await Promise.allSettled([
      inStore("readwrite", (store) => store.delete(server)),
      browser.storage.session.remove(sessionKey(server)),
    ]);
  },
  clear: () => inStore("readwrite", (store) => store.clear()),
};
