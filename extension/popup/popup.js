/** The toolbar pop-up. Any click elsewhere closes it, so it reads everything when it opens. */

import { permissionPattern } from "../lib/address.js";
import { csv, json, matching } from "../lib/history.js";
import { ProblemError } from "../lib/problem.js";
import { TWITCH_PAGES, tabAdvice } from "../lib/site_access.js";
import { problemView } from "../lib/view.js";
import { askPermission, byId, fillWords, h, say, send, showMessage, showVersion } from "../ui/common.js";

const identify = byId("identify", HTMLButtonElement);
const answer = byId("answer", HTMLElement);
const spoken = byId("spoken", HTMLElement);
const songs = byId("songs", HTMLElement);
const search = byId("search", HTMLInputElement);
const empty = byId("empty", HTMLElement);
const sign = byId("sign", HTMLButtonElement);
const clear = byId("clear", HTMLButtonElement);

/** @type {HistoryEntry[]} */
let list = [];
/** @type {Overview | null} */
let overview = null;

// --- the current tab -----------------------------------------------------------------------------------

async function currentTab() {
  const [tab] = await browser.tabs.query({ active: true, currentWindow: true });
  return tab ?? null;
}

/**
 * Asks the page's own script, if there is one; on other sites' pages that of an embedded player.
 * @template {keyof TabMessages} Name
 * @param {browser.tabs.Tab | null} tab
 * @param {Name} name
 * @param {TabMessages[Name]["request"]} [request]
 * @returns {Promise<TabMessages[Name]["reply"] | null>}
 */
async function askPage(tab, name, request = {}) {
  const id = tab?.id;
  if (id === undefined) return null;
  const message = { name, ...request };
  return browser.tabs.sendMessage(id, message, { frameId: 0 }).catch(() => browser.tabs.sendMessage(id, message)).catch(() => null);
}

async function showPage() {
  const tab = await currentTab();
  const page = await askPage(tab, "page");
  const allowed = await browser.permissions.contains({ origins: TWITCH_PAGES });
  const { key, values, can, allow, earlier } = tabAdvice({ page, url: tab?.url ?? "", allowed });
  byId("page", HTMLElement).textContent = say(key, values);
  identify.disabled = !can;
  byId("allow", HTMLElement).hidden = !allow;
  byId("earlier", HTMLElement).hidden = !earlier;
  showReport(page?.report ?? "");
  if (page?.view) showAnswer(page.view);
}

/** Offers what a developer needs when the button did not find its place. It says nothing about the viewer. @param {string} report */
function showReport(report) {
  const [engine = ""] = /(Firefox|Chrome)\/\d+/.exec(navigator.userAgent) ?? [];
  byId("report", HTMLTextAreaElement).value = `TwitchAudio ${browser.runtime.getManifest().version}, ${engine}\n${report}`;
  byId("misplaced", HTMLElement).hidden = report === "";
}

byId("copy-report", HTMLButtonElement).addEventListener("click", async ({ target }) => {
  const done = await navigator.clipboard.writeText(byId("report", HTMLTextAreaElement).value).then(() => true, () => false);
  /** @type {HTMLElement} */ (target).textContent = spoken.textContent = say(done ? "panel_copied" : "panel_copy_failed");
});

/** How often the page is asked how far its question is. */
const LOOK_MS = 500;

const asking = twitchaudio.asking.create({
  send,
  show: showAnswer,
  problem: (code, wait = null) => problemView(new ProblemError(code, "", wait), say, "https://twitch.tv"),
});

identify.addEventListener("click", () => ask({}));

for (const ago of twitchaudio.asking.EARLIER_SECONDS) {
  const label = ago < 60 ? say("ago_seconds", [String(ago)]) : say("ago_minutes", [String(ago / 60)]);
  const choice = h("button", { type: "button", class: "plain", "data-ago": String(ago), "aria-label": say("ago_ask", [label]) }, label);
  choice.addEventListener("click", () => ask({ ago }));
  byId("earlier", HTMLElement).append(choice);
}

byId("allow", HTMLButtonElement).addEventListener("click", async () => {
  if (await askPermission(...TWITCH_PAGES)) await showPage();
});

/** What was asked for last, which "try again" asks for again. @type {{ ago?: number }} */
let last = {};

/** @param {{ ago?: number }} moment */
async function ask(moment) {
  last = moment;
  const tab = await currentTab();
  showAnswer({ state: "working", id: null, stage: 0, blocked: false, wait: null });
  identify.disabled = true;
  try {
    const page = await askPage(tab, "page");
    if (page?.kind) await byPage(tab, moment);
    // A tab that was open before the installation lacks our script: identify its address instead.
    else if (page === null && tab?.url) await asking.ask(() => ({ url: tab.url ?? "" }));
    else await showPage();
  } finally {
    identify.disabled = false;
    await showSongs();
  }
}

/**
 * The page's own script asks, which knows the moment; its state is shown here.
 * @param {browser.tabs.Tab | null} tab
 * @param {{ ago?: number }} moment
 */
async function byPage(tab, moment) {
  await askPage(tab, "identify", moment);
  for (;;) {
    const page = await askPage(tab, "page");
    if (page?.view) showAnswer(page.view);
    else answer.hidden = true; // the viewer went elsewhere, or closed the panel
    if (page?.view?.state !== "working") return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** @param {View} view */
function showAnswer(view) {
  answer.hidden = false;
  answer.dataset["state"] = view.state;
  answer.dataset["code"] = view.state === "error" ? view.code : "";
  switch (view.state) {
    case "working": {
      const words = say(view.blocked ? "panel_blocked" : "popup_working");
      answer.replaceChildren(h("p", {}, words));
      if (spoken.textContent !== words) spoken.textContent = words;
      break;
    }
    case "found": {
      const links = view.song.links.map(({ name, href, exact }) =>
        h("a", { class: "button", href, target: "_blank", rel: "noopener noreferrer",
          "aria-label": say(exact ? "link_open" : "link_search", [name]) }, name));
      answer.replaceChildren(view.probably ? h("p", { class: "muted small" }, view.probably) : "",
        h("h2", { dir: "auto" }, view.song.title), h("p", { dir: "auto" }, view.song.artists),
        view.song.album ? h("p", { class: "muted small", dir: "auto" }, view.song.album) : "",
        view.corrected ? h("p", { class: "muted small" }, view.corrected) : "",
        view.note ? h("p", { class: "small" }, view.note) : "", h("div", { class: "row" }, ...links));
      spoken.textContent = say(view.probably ? "spoken_probably" : "spoken_found", [view.song.title, view.song.artists]);
      break;
    }
    default: {
      const next = view.actions.map((action) => action.href
        ? h("a", { class: "button", href: action.href, target: "_blank", rel: "noopener noreferrer" }, action.label)
        : actionButton(action, view.state === "error" ? view.wait : null));
      answer.replaceChildren(h("h2", {}, view.heading), view.text ? h("p", { class: "small" }, view.text) : "",
        view.state === "error" && view.detail ? h("p", { class: "small muted", lang: "en" }, view.detail) : "",
        h("div", { class: "row" }, ...next));
      spoken.textContent = `${view.heading}. ${view.text}`.trim();
    }
  }
  showTrouble();
}

/** @param {Action} action @param {number | null} wait seconds until a retry makes sense */
function actionButton(action, wait) {
  const button = h("button", { type: "button" }, action.label);
  if (action.name === "retry" && wait !== null) countDown(button, action.label, wait);
  button.addEventListener("click", () => {
    if (action.name === "options") void openOptions();
    else if (action.name === "welcome") void openWelcome();
    else if (action.name === "sign-in") void signIn();
    else void ask(action.name === "retry" ? last : {});
  });
  return button;
}

/**
 * A retry may be pressed when the time to wait that the server gave is over.
 * @param {HTMLButtonElement} button
 * @param {string} label
 * @param {number} wait seconds
 */
function countDown(button, label, wait) {
  const until = performance.now() + wait * 1000;
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    const over = left <= 0 || !button.isConnected;
    button.disabled = identify.disabled = !over;
    button.textContent = over ? label : say("action_retry_in", [String(left)]);
    if (over) clearInterval(ticking);
  };
  const ticking = setInterval(tick, 250);
  button.disabled = true;
  button.textContent = say("action_retry_in", [String(Math.ceil(wait))]);
}

// --- songs ---------------------------------------------------------------------------------------------

async function showSongs() {
  list = await send("history", {});
  drawSongs();
}

function drawSongs() {
  const found = matching(list, search.value);
  songs.replaceChildren(...found.slice(0, 100).map(drawSong));
  for (const id of ["csv", "json", "clear", "search"]) byId(id, HTMLElement).hidden = list.length === 0;
  songs.hidden = found.length === 0;
  empty.hidden = found.length > 0;
  empty.textContent = say(list.length === 0 ? "popup_empty" : "popup_none_matching");
}

/** @param {HistoryEntry} heard */
function drawSong(heard) {
  const exact = heard.links.find((link) => link.exact) ?? heard.links[0];
  const line = heard.artists ? `${heard.artists} – ${heard.title}` : heard.title;
  const copy = h("button", { type: "button", class: "plain", "aria-label": say("popup_copy_label", [line]) }, say("panel_copy"));
  copy.addEventListener("click", async () => {
    const done = await navigator.clipboard.writeText(line).then(() => true, () => false);
    copy.textContent = spoken.textContent = say(done ? "panel_copied" : "panel_copy_failed");
  });
  const when = new Date(heard.heard_at);
  const day = Number.isNaN(when.getTime()) ? "" : when.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  const title = exact
    ? h("a", { href: exact.href, target: "_blank", rel: "noopener noreferrer", dir: "auto" }, heard.title)
    : h("span", { dir: "auto" }, heard.title);
  return h("li", {}, h("div", {}, h("b", {}, title), h("span", { class: "small", dir: "auto" }, heard.artists),
    // The name of a clip is long, and is what may be cut.
    h("span", { class: "small muted" }, [day, say(`popup_page_${heard.kind}`, [heard.target]) || heard.target].filter(Boolean).join(" · "))), copy);
}

search.addEventListener("input", drawSongs);

/** @param {string} id @param {string} type @param {(list: readonly HistoryEntry[]) => string} write */
function exporter(id, type, write) {
  const button = byId(id, HTMLButtonElement);
  button.setAttribute("aria-label", say("popup_export", [id.toUpperCase()]));
  button.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([write(list)], { type }));
    h("a", { href: address, download: `twitchaudio-songs.${id}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
}

let sure = false;
clear.addEventListener("click", async () => {
  if (sure) {
    await send("clear-history", {});
    await showSongs();
  }
  sure = !sure;
  clear.textContent = say(sure ? "popup_clear_sure" : "popup_clear");
});

// --- server and sign-in --------------------------------------------------------------------------------

async function showOverview() {
  overview = await send("overview", {});
  const { account, motd, problem, permitted, signIn: possible } = overview;
  const message = byId("motd", HTMLElement);
  message.textContent = motd;
  message.hidden = motd === "";
  showMessage(byId("problem", HTMLElement), problem);
  showTrouble();
  const unchosen = problem?.code === "no-server";
  byId("choose", HTMLElement).hidden = !unchosen;
  byId("grant", HTMLElement).hidden = permitted || unchosen;
  byId("account", HTMLElement).textContent =
    account.kind === "twitch" ? say("account_twitch", [account.login ?? ""]) : say(account.kind === "key" ? "account_key" : "account_none");
  sign.hidden = account.kind === "none" && !possible;
  sign.textContent = say(account.kind === "none" ? "action_sign_in" : "action_sign_out");
}

/** What is wrong with the server, unless the answer says so already. */
function showTrouble() {
  const code = overview?.problem?.code;
  byId("trouble", HTMLElement).hidden = code === undefined || (!answer.hidden && answer.dataset["code"] === code);
}

sign.addEventListener("click", async () => {
  if (overview?.account.kind === "none") {
    await signIn();
    return;
  }
  await send("sign-out", {});
  await showOverview();
});

async function signIn() {
  const problem = await send("sign-in", {});
  await showOverview();
  if (problem) {
    byId("trouble", HTMLElement).hidden = false;
    showMessage(byId("problem", HTMLElement), problem);
  }
}

byId("grant", HTMLButtonElement).addEventListener("click", async () => {
  if (overview && (await askPermission(permissionPattern(overview.server)))) await showOverview();
});

async function openOptions() {
  await browser.runtime.openOptionsPage();
  window.close();
}
byId("options", HTMLButtonElement).addEventListener("click", openOptions);

async function openWelcome() {
  await send("open-welcome", {});
  window.close();
}
byId("choose", HTMLButtonElement).addEventListener("click", openWelcome);

fillWords();
showVersion();
exporter("csv", "text/csv", csv);
exporter("json", "application/json", json);
browser.tabs.onActivated.addListener(() => void showPage());
await Promise.all([showPage(), showSongs(), showOverview()]);
document.documentElement.dataset["ready"] = "";
