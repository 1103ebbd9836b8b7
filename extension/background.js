/**
 * Answers messages: it owns tokens, the server's address and every request. The browser stops it after 30 s without
 * an event, even while a request runs, so it keeps no state of its own: clients poll by the job's id.
 */

import { DEFAULT_SERVER, addressProblem, isHome, parseServer, permissionPattern } from "./lib/address.js";
import * as account from "./lib/account.js";
import * as api from "./lib/api.js";
import { added, toHistoryEntry } from "./lib/history.js";
import { accepted } from "./lib/messages.js";
import { ProblemError } from "./lib/problem.js";
import { TWITCH_PAGES } from "./lib/site_access.js";
import * as storage from "./lib/storage.js";
import { problemView, viewOf } from "./lib/view.js";

/** @type {Say} */
const say = (key, substitutions = []) => browser.i18n.getMessage(key, substitutions);

const self_ = { id: browser.runtime.id, root: browser.runtime.getURL("") };

/** `anonymous`: in a private window nothing says who asks, unless the viewer has allowed it. */
/** @typedef {{ server: string, private: boolean, anonymous: boolean }} Context */
/** @type {{ [Name in MessageName]: (message: Messages[Name]["request"], context: Context) => Promise<Messages[Name]["reply"]> }} */
const HANDLERS = {
  "ask": async ({ question, fresh = false, chosen = false }, context) => {
    const channel = "channel" in question ? question.channel : "";
    const ago = "ago" in question ? question.ago ?? 0 : 0;
    const view = await shown(context, { channel, ago }, async () => {
      await permitted(context.server);
      try {
        return await start(context, question, fresh);
      } catch (error) {
        // A server of before does not know moments of a channel: it listens to what is live, and the view says so.
        const unknown = ago > 0 && error instanceof ProblemError && error.code === "invalid-input";
        if (!unknown) throw api.asVersionProblem(error, []);
        if (chosen) throw new ProblemError("server-too-old", "", null, "", { key: "ago_unknown" });
        return start(context, { channel }, fresh);
      }
    });
    if (view.state === "error" && view.code === "no-server" && !context.private) await leadToWelcome();
    return view;
  },
  "poll": ({ id, ago = 0 }, context) =>
    shown(context, { ago }, () => call(context, `/identifications/${id}`, { wait: api.WAIT_SECONDS })),
  "stored": async ({ slug }, context) => {
    const { lookup } = await storage.settings();
    if (context.private || !lookup || !(await isPermitted(context.server))) return null;
    try {
      const { body } = await call(context, `/clips/${slug}`);
      const view = viewOf(api.identification(body), say, context.server);
      if (view.state !== "found") return null;
      await remember(view, context);
      return view;
    } catch {
      return null; // the viewer did not ask: no error is shown
    }
  },
  "report": ({ id, reason, note }, context) =>
    attempt(context.server, async () => {
      const body = note ? { reason, note } : { reason };
      await call(context, `/identifications/${id}/reports`, { method: "POST", body });
    }),
  "picture": ({ path }, { server }) => api.picture(account.network, server, path),
  "settings": () => storage.settings(),
  "open-options": async () => {
    await browser.runtime.openOptionsPage();
    return null;
  },
  "open-welcome": async () => {
    await openWelcome();
    return null;
  },
  "sign-in": (_, { server }) => attempt(server, () => account.signInByWindow(server)),
  "sign-out": async (_, { server }) => {
    await account.signOut(server);
    return null;
  },
  "device-start": async (_, { server }) => {
    try {
      return await account.startDevice(server);
    } catch (error) {
      return explained(error, { server, private: false, anonymous: false });
    }
  },
  "device-poll": async ({ device }, { server }) => {
    try {
      return (await account.pollDevice(server, device)) ? "done" : "pending";
    } catch (error) {
      return explained(error, { server, private: false, anonymous: false });
    }
  },
  "overview": async (_, context) => overview(context),
  "set-server": async ({ server: typed }, { server: before }) => {
    const wrong = addressProblem(typed);
    const server = wrong ? null : parseServer(typed);
    if (server === null) {
      const words = wrong && { key: `address_${wrong.reason}` };
      return problemView(new ProblemError("address-invalid", "", null, "", words), say, before);
    }
    return attempt(server, async () => {
      await permitted(server);
      await account.serverStatus(server).catch((error) => { throw atHome(error, server); });
      // A token belongs to one server: revoke it rather than send it to the next one.
      if (server !== before) await account.signOut(before);
      await storage.saveSettings({ server });
    });
  },
  "set-key": ({ key }, { server }) => attempt(server, () => account.useKey(server, key.trim())),
  "redeem": ({ code }, { server }) =>
    attempt(server, async () => {
      await account.callAs(server, "/access-codes/redeem", { method: "POST", body: { code: code.trim() } });
    }),
  "set-settings": ({ button, lookup, privateSignIn }, { server }) =>
    attempt(server, async () => {
      const given = Object.entries({ button, lookup, privateSignIn }).filter(([, value]) => value !== undefined);
      await storage.saveSettings(Object.fromEntries(given));
      await tellTabs();
    }),
  "history": () => storage.history(),
  "clear-history": async () => {
    await storage.changeHistory(() => []);
    return null;
  },
  "erase": async (_, { server }) => {
    await account.signOut(server);
    await storage.eraseAll();
    return null;
  },
};

browser.runtime.onMessage.addListener((message, sender) => {
  const known = accepted(message, sender, self_);
  if (known === null) return undefined;
  return respond(known, sender);
});

/** @param {Message} message @param {browser.runtime.MessageSender} sender */
async function respond(message, sender) {
  const { server, privateSignIn } = await storage.settings();
  // The pop-up is in no tab: its messages say themselves whether its window is private.
  const hidden = sender.tab?.incognito ?? /** @type {{ private?: unknown }} */ (message).private === true;
  const context = { server, private: hidden, anonymous: hidden && !privateSignIn };
  const handler = /** @type {(message: any, context: Context) => Promise<any>} */ (HANDLERS[message.name]);
  return handler(message, context);
}

browser.commands.onCommand.addListener(async (name, tab) => {
  if (name !== "identify") return;
  const id = tab?.id ?? (await browser.tabs.query({ active: true, currentWindow: true }))[0]?.id;
  if (id === undefined) return;
  // On pages without our script (other sites, or tabs older than the installation) the pop-up opens instead.
  await browser.tabs.sendMessage(id, { name: "identify" }).catch(() => browser.action.openPopup().catch(() => {}));
});

/** @param {Context} context @param {string} path @param {api.Call} [request] */
function call({ server, anonymous }, path, request = {}) {
  return account.callAs(server, path, request, anonymous);
}

/** @param {Context} context @param {Question} question @param {boolean} fresh whether no earlier answer will do */
function start(context, question, fresh) {
  return call(context, "/identifications", { method: "POST", body: question, wait: api.WAIT_SECONDS, fresh });
}

/** Of a server at home it is said that a certificate of its own is not enough. @param {unknown} error @param {string} server */
function atHome(error, server) {
  const home = error instanceof ProblemError && error.code === "connection-not-secure" && isHome(new URL(server).hostname);
  return home ? new ProblemError(error.code, "", null, "", { key: "connection_at_home" }) : error;
}

/** What a viewer who has chosen no server yet is told in place of what is wrong with the usual address. */
const NO_SERVER = new Set([
  "server-unreachable", "server-slow", "permission-missing", "not-a-server", "server-redirects", "gateway-error",
  "refused-on-the-way",
]);

/**
 * The view of a problem, with what only this browser knows about it.
 * @param {unknown} error
 * @param {Context} context
 * @param {string} [channel]
 */
async function explained(error, { server, anonymous }, channel = "") {
  let known = error;
  if (error instanceof ProblemError) {
    const barred = ["login-required", "subscription-required"].includes(error.code);
    if (anonymous && barred) known = new ProblemError("private-window");
    if (error.code === "connection-not-secure" && (await storage.wasReached(server))) known = new ProblemError("server-away");
    if (NO_SERVER.has(error.code) && server === DEFAULT_SERVER && !(await storage.isServerChosen())) known = new ProblemError("no-server");
  }
  return problemView(known, say, server, channel);
}

/**
 * Requests an Identification and gives the view of it, or of the problem that came in its place.
 * @param {Context} context
 * @param {{ channel?: string, ago?: number }} about the channel, and how many seconds ago the moment was that was asked for
 * @param {() => Promise<{ body: any, wait: number | null }>} ask
 * @returns {Promise<View>}
 */
async function shown(context, { channel = "", ago = 0 }, ask) {
  try {
    const { body, wait } = await ask();
    const view = viewOf(api.identification(body), say, context.server, wait, ago);
    if (view.state === "found") await remember(view, context);
    return view;
  } catch (error) {
    return explained(error, context, channel);
  }
}

/** @param {string} server @param {() => Promise<void>} act @returns {Promise<ProblemView | null>} */
async function attempt(server, act) {
  try {
    await act();
    return null;
  } catch (error) {
    return explained(api.asVersionProblem(error, []), { server, private: false, anonymous: false });
  }
}

/** @param {Found} view @param {Context} context */
async function remember(view, context) {
  if (!context.private) await storage.changeHistory((list) => added(list, toHistoryEntry(view)));
}

/** @param {string} server */
function isPermitted(server) {
  return browser.permissions.contains({ origins: [permissionPattern(server)] });
}

/** @param {string} server */
async function permitted(server) {
  if (!(await isPermitted(server))) throw new ProblemError("permission-missing");
}

/** @param {Context} context @returns {Promise<Overview>} */
async function overview(context) {
  const { server } = context;
  const known = await account.account(server);
  /** @type {Overview} */
  const found = { server, permitted: await isPermitted(server), problem: null, motd: "", account: known, signIn: false, refusal: "" };
  try {
    await permitted(server);
    const [status, me] = await Promise.all([account.serverStatus(server), call(context, "/me")]);
    found.motd = String(status.motd ?? "");
    found.signIn = Boolean(status.twitch_client_id);
    found.account = await account.account(server);
    const refused = me.body.streams?.allowed === false ? me.body.streams.code : null;
    if (refused) found.refusal = problemView(new ProblemError(String(refused)), say, server).text;
  } catch (error) {
    found.problem = await explained(error, context);
    found.account = await account.account(server);
  }
  return found;
}

// --- installation --------------------------------------------------------------------------------------

browser.runtime.onInstalled.addListener(async ({ reason }) => {
  if (reason === "install" && (await storage.isFirstRun())) await openWelcome();
  if (reason === "install" || reason === "update") await adoptTabs();
});

// The viewer has given access to Twitch's pages, or given it back.
browser.permissions.onAdded.addListener(({ origins = [] }) => {
  if (origins.some((origin) => origin.includes("twitch.tv"))) void adoptTabs();
});

function openWelcome() {
  return browser.tabs.create({ url: browser.runtime.getURL("welcome/welcome.html") });
}

/** The first question without a server opens the page on which one is chosen: once, until the browser is closed. */
async function leadToWelcome() {
  if (await storage.firstThisSession("led")) await openWelcome();
}

/**
 * Gives the button to tabs that are open already: Chromium leaves them without a script after an installation, and with
 * a dead one after an update. A page whose script answers keeps it.
 */
async function adoptTabs() {
  const scripts = browser.runtime.getManifest().content_scripts ?? [];
  const [{ js = [], css = [] } = {}] = scripts;
  const tabs = await browser.tabs.query({ url: TWITCH_PAGES }).catch(() => []);
  await Promise.allSettled(tabs.filter(({ id, discarded }) => id !== undefined && !discarded).map(async ({ id = 0 }) => {
    const alive = await browser.tabs.sendMessage(id, { name: "page" }).catch(() => null);
    if (alive) return;
    await browser.scripting.insertCSS({ target: { tabId: id }, files: css });
    await browser.scripting.executeScript({ target: { tabId: id }, files: js });
  }));
}

/** Tells open pages that settings have changed. */
async function tellTabs() {
  const tabs = await browser.tabs.query({});
  const told = tabs.map(({ id }) => id !== undefined && browser.tabs.sendMessage(id, { name: "settings-changed" }));
  await Promise.allSettled(told);
}
