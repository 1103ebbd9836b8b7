/** The set list: times in the reader's time zone, a search while typing, and new plays as they are heard. */

import { copyButtons } from "./copy.js";
import "./escape.js";
import { gettext, locale, ngettext } from "./messages.js";
import { root } from "./root.js";

const FORMATS = /** @type {Record<string, Intl.DateTimeFormatOptions>} */ ({
  time: { hour: "numeric", minute: "2-digit" },
  hour: { hour: "numeric", minute: "2-digit" },
  date: { year: "numeric", month: "short", day: "numeric" },
});

/** The zone that the address of the page names; without one, times are the reader's own. */
const asked = document.getElementById("list")?.dataset["zone"];

/** @param {ParentNode} part */
function localize(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.getAttribute("datetime") ?? "");
    let format = FORMATS[/** @type {HTMLElement} */ (time).dataset["format"] ?? ""];
    if (format && !Number.isNaN(moment.getTime())) {
      if (format.year && moment.getFullYear() === new Date().getFullYear()) format = { ...format, year: undefined };
      time.textContent = new Intl.DateTimeFormat(locale(), { ...format, timeZone: asked }).format(moment);
    }
  }
}

const list = /** @type {HTMLElement} */ (document.getElementById("list"));
const search = /** @type {HTMLInputElement} */ (document.getElementById("q"));
const spoken = /** @type {HTMLElement} */ (document.getElementById("spoken"));

function filter() {
  const words = search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  /** @type {Set<string | undefined>} */
  const songs = new Set();
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll(".plays li"))) {
    const text = (row.querySelector(".what")?.textContent ?? "").toLocaleLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    if (row.hidden) continue;
    shown += 1;
    songs.add(row.querySelector("a.title")?.getAttribute("href") ?? undefined);
  }
  // The time line's bars lead to the rows.
  for (const bar of list.querySelectorAll(".timeline a")) {
    const row = document.getElementById((bar.getAttribute("href") ?? "").slice(1));
    bar.classList.toggle("away", words.length > 0 && row?.hidden !== false);
  }
  const count = document.getElementById("count");
  if (!count) return;
  if (!shown) {
    count.textContent = gettext("No songs match “%(search)s”.", { search: search.value.trim() });
    return;
  }
  count.textContent = songs.size < shown
    ? ngettext("%(num)s song, heard %(plays)s times", "%(num)s songs, heard %(plays)s times in all", songs.size, { plays: shown })
    : ngettext("%(num)s song", "%(num)s songs", shown);
}

/** The list is about to be new: afterwards the same control has the focus again, in its row or with its address. */
function keepFocus() {
  const held = document.activeElement;
  if (!held || !list.contains(held)) return () => {};
  const controls = "a, button, input, summary, textarea";
  const row = held.closest("li");
  const at = row ? [...row.querySelectorAll(controls)].indexOf(held) : -1;
  const address = held instanceof HTMLAnchorElement && held.href;
  return () => {
    const kept = row && document.getElementById(row.id)?.querySelectorAll(controls)[at];
    const same = kept ?? [...list.querySelectorAll("a")].find((link) => link.href === address);
    if (same instanceof HTMLElement) same.focus({ preventScroll: true });
  };
}

let late = false;
let loading = false;
let again = false;

/** Replaces the list by that of the page as the server writes it now. */
async function renew() {
  // What the owner types into a row stays; the list is renewed when they close it.
  if (list.querySelector("details.edit[open]")) {
    late = true;
    return;
  }
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("list");
      if (fresh) {
        const before = list.querySelector(".plays li b")?.textContent;
        const had = new Set([...list.querySelectorAll(".plays li")].map((row) => row.id));
        const at = playing?.link.closest("li")?.id;
        const focusAgain = keepFocus();
        list.replaceChildren(...[...fresh.childNodes].map((node) => document.importNode(node, true)));
        localize(list);
        focusAgain();
        if (playing) keepPlaying(playing, at);
        if (search.value) filter();
        for (const row of list.querySelectorAll(".plays li")) row.classList.toggle("new", !had.has(row.id));
        const newest = list.querySelector(".plays li b")?.textContent;
        if (newest && newest !== before) spoken.textContent = gettext("New: %(title)s", { title: newest });
      }
    }
  } catch {
    // The next play event tries again.
  }
  loading = false;
  if (again) {
    again = false;
    void renew();
  }
}

/** The one preview that plays, and its link. Without scripts the link opens the sound. @type {HTMLAudioElement | undefined} */
let player;
/** @type {{ link: HTMLAnchorElement, text: string } | undefined} */
let playing;

/** @param {string} [text] what the link says from now on, instead of what it said before */
function stop(text) {
  player?.pause();
  if (playing) playing.link.textContent = text ?? playing.text;
  playing = undefined;
}

/**
 * The list is new, and what plays goes on: its link says how to stop it.
 * @param {{ link: HTMLAnchorElement, text: string }} before @param {string | undefined} at the id of its row
 */
function keepPlaying(before, at) {
  const links = /** @type {HTMLAnchorElement[]} */ ([...list.querySelectorAll("a.preview")]);
  const same = links.filter((link) => link.href === before.link.href);
  const link = same.find((each) => each.closest("li")?.id === at) ?? same[0];
  if (!link) return stop();
  before.link = link;
  link.textContent = link.dataset["stop"] ?? "";
}

list.addEventListener(
  "toggle",
  () => {
    if (!late || list.querySelector("details.edit[open]")) return;
    late = false;
    void renew();
  },
  { capture: true },
);

list.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a.preview");
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const same = playing?.link === link;
  stop();
  if (same) return;
  const started = (playing = { link, text: link.textContent });
  link.textContent = link.dataset["stop"] ?? "";
  if (!player) {
    player = new Audio();
    player.addEventListener("ended", () => stop());
  }
  player.src = link.href;
  player.play().catch(() => {
    if (playing === started) stop(link.dataset["failed"]);
  });
});

/** From now on the form asks for days of the reader's own time zone. */
function askInOwnZone() {
  const zone = /** @type {HTMLInputElement} */ (document.getElementById("zone"));
  const name = document.querySelector("label[for=day] .quiet");
  const own = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!own) return;
  zone.value = own;
  zone.disabled = false;
  if (name) name.textContent = `(${own})`;
}

localize(document);
const day = /** @type {HTMLInputElement} */ (document.getElementById("day"));
// A day that is shown without a zone is one of UTC, until another is chosen.
if (!asked) {
  if (day.value) day.addEventListener("change", askInOwnZone, { once: true });
  else askInOwnZone();
}
search.addEventListener("input", filter);
if (list.dataset["live"] !== undefined) {
  const events = new EventSource(`${root}/api/v1/channels/${encodeURIComponent(list.dataset["login"] ?? "")}/events`);
  let newest = list.querySelector(".plays li time")?.getAttribute("datetime") ?? "";
  events.addEventListener("play", (event) => {
    const play = /** @type {{song: {title: string}, last_heard: string}} */ (JSON.parse(event.data));
    const heard = new Date(play.last_heard).getTime();
    // The first event repeats what the page shows already.
    if (heard === new Date(newest).getTime() && play.song.title === list.querySelector(".plays li b")?.textContent) return;
    newest = new Date(heard).toISOString();
    void renew();
  });
  // A song that was heard a while ago has a name only now, or may have got it while the connection was lost.
  events.addEventListener("updated", () => void renew());
  // Hidden by the channel's owner: only what this page still shows matters.
  events.addEventListener("removed", (event) => {
    const gone = /** @type {string[]} */ (JSON.parse(event.data).identifications);
    if (gone.some((id) => document.getElementById(`play-${id}`))) void renew();
  });
  let opened = false;
  events.addEventListener("open", () => {
    if (opened) void renew();
    opened = true;
  });
  addEventListener("pagehide", () => events.close());
}

copyButtons(".streamer pre", "after");
