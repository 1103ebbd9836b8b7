/**
 * Answers messages: it owns tokens, the server's address and every request. The browser stops it after 30 s without
 * an event, even while a request runs, so it keeps no state of its own: clients poll by the job's id.
 */

import { parseServer, permissionPattern } from "./lib/address.js";
import * as account from "./lib/account.js";
import * as api from "./lib/api.js";
import { added, toHistoryEntry } from "./lib/history.js";
import { accepted } from "./lib/messages.js";
import { ProblemError } from "./lib/problem.js";
import * as storage from "./lib/storage.js";
import { problemView, viewOf } from "./lib/view.js";

/** @type {Say} */
const say = (key, substitutions = []) => browser.i18n.getMessage(key, substitutions);

const self_ = { id: browser.runtime.id, root: browser.runtime.getURL("") };

/** `anonymous`: in a private window nothing says who asks, unless the viewer has allowed it. */
/** @typedef {{ server: string, private: boolean, anonymous: boolean }} Context */
/** @type {{ [Name in MessageName]: (message: Messages[Name]["request"], context: Context) => Promise<Messages[Name]["reply"]> }} */
const HANDLERS = {
  "ask": async ({ question }, context) => {
    const channel = "channel" in question ? question.channel : "";
    return shown(context, channel, async () => {
      await permitted(context.server);
      try {
        return await start(context, question);
      } catch (error) {
        // A server of before does not know moments of a channel: it listens to what is live.
        const unknown = "ago" in question && error instanceof ProblemError && error.code === "invalid-input";
        if (!unknown) throw api.asVersionProblem(error, []);
        return start(context, { channel });
      }
    });
  },
  "poll": ({ id }, context) =>
    shown(context, "", () => call(context, `/identifications/${id}`, { wait: api.WAIT_SECONDS })),
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
  "settings": () => storage.settings(),
  "open-options": async () => {
    await browser.runtime.openOptionsPage();
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
    const server = parseServer(typed);
    if (server === null) return problemView(new ProblemError("address-invalid"), say, before);
    return attempt(server, async () => {
      await permitted(server);
      await account.serverStatus(server);
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

/** @param {Context} context @param {Question} question */
function start(context, question) {
  return call(context, "/identifications", { method: "POST", body: question, wait: api.WAIT_SECONDS });
}

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
  }
  return problemView(known, say, server, channel);
}

/**
 * Requests an Identification and gives the view of it, or of the problem that came in its place.
 * @param {Context} context
 * @param {string} channel
 * @param {() => Promise<{ body: any, wait: number | null }>} ask
 * @returns {Promise<View>}
 */
async function shown(context, channel, ask) {
  try {
    const { body, wait } = await ask();
    const view = viewOf(api.identification(body), say, context.server, wait);
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

/** Tells open pages that settings have changed. */
async function tellTabs() {
  const tabs = await browser.tabs.query({});
  const told = tabs.map(({ id }) => id !== undefined && browser.tabs.sendMessage(id, { name: "settings-changed" }));
  await Promise.allSettled(told);
}
