/**
 * Stores settings, songs and secrets in the browser. Settings and the list of songs are in `storage.local`. Secrets are in this
 * extension's IndexedDB, which neither pages nor content scripts can open in any browser; `storage.local` can be
 * read by content scripts in Firefox.
 */

import { DEFAULT_SERVER } from "./address.js";

/** @type {Settings} */
const DEFAULTS = { server: DEFAULT_SERVER, button: true, lookup: true };

/** @returns {Promise<Settings>} */
export async function settings() {
  return /** @type {Settings} */ (await browser.storage.local.get({ ...DEFAULTS }));
}

/** @param {Partial<Settings>} changes */
export async function saveSettings(changes) {
  await browser.storage.local.set(changes);
}

/** @returns {Promise<HistoryEntry[]>} */
export async function history() {
  const { history: list } = await browser.storage.local.get({ history: [] });
  return Array.isArray(list) ? list : [];
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
  return next;
}

/** Forgets everything: settings, songs, secrets. */
export async function eraseAll() {
  await Promise.all([browser.storage.local.clear(), browser.storage.session.clear(), secrets.clear()]);
}

const STORE = "secrets";

/** @returns {Promise<IDBDatabase>} */
function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("twitchaudio", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
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

/** Secrets, each for the one server that it may be sent to. */
export const secrets = {
  /** @param {string} server @returns {Promise<Secret | undefined>} */
  get: (server) => inStore("readonly", (store) => store.get(server)),
  /** @param {string} server @param {Secret} secret */
  set: (server, secret) => inStore("readwrite", (store) => store.put(secret, server)),
  /** @param {string} server */
  remove: (server) => inStore("readwrite", (store) => store.delete(server)),
  clear: () => inStore("readwrite", (store) => store.clear()),
};
