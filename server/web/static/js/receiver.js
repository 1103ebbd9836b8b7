/** Puts an answer's texts into the slots of the start page. Texts only ever go through textContent. */

import { clockText, pointsOf } from "./lib/answer.js";
import { positionNow } from "./listening.js";
import { gettext, locale } from "./messages.js";
import { root } from "./root.js";
import { LIVE_MS, momentText } from "./times.js";

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export const byId = (id) => /** @type {T} */ (/** @type {unknown} */ (document.getElementById(id)));

const receiver = byId("receiver");

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} selector
 * @returns {NodeListOf<T>}
 */
const all = (selector) => receiver.querySelectorAll(selector);

const TITLE = "TwitchAudio";

/** @param {AnswerTexts} answer */
function pageTitle(answer) {
  switch (answer.state) {
    case "working": return `${gettext("Listening…")} · ${TITLE}`;
    case "found": return `${[answer.title, answer.artists].filter(Boolean).join(" – ")} · ${TITLE}`;
    case "none": case "failed": return `${answer.heading} · ${TITLE}`;
    default: return TITLE;
  }
}

/**
 * A text with `code` in it, as the server's templates show it.
 * @param {HTMLElement} element
 * @param {string} text
 */
function showProse(element, text) {
  element.replaceChildren(...text.split("`").map((part, index) => {
    if (index % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  }));
}

/** @param {AnswerTexts} answer */
function showStage(answer) {
  let doing = "";
  let past = answer.state === "working" && answer.stage !== "queued";
  for (const item of all(".steps li")) {
    const now = answer.state === "working" && item.dataset["stage"] === answer.stage;
    if (now) {
      past = false;
      doing = item.dataset["doing"] ?? "";
    }
    item.toggleAttribute("data-now", now);
    item.toggleAttribute("data-past", past && !now);
    if (now) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  const line = byId("doing");
  line.textContent = answer.state === "working" ? doing || line.dataset["waiting"] || "" : "";
}

/** The landmarks that were heard, the lower ones larger. server/web/dial.py draws the same. @param {string} landmarks */
function showPeaks(landmarks) {
  byId("peaks").replaceChildren(...pointsOf(landmarks).map(([when, height]) => {
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("cx", `${(100 * when).toFixed(1)}%`);
    dot.setAttribute("cy", `${(12 + 52 * (1 - height)).toFixed(1)}%`);
    dot.setAttribute("r", (1 + 1.5 * (1 - height)).toFixed(1));
    return dot;
  }));
}

/** @param {AnswerTexts} answer */
function showDial(answer) {
  if (answer.state === "found") showPeaks(answer.landmarks);
  for (const needle of all("[data-needle]")) needle.setAttribute("x", `${answer.needle}%`);
  for (const played of all("[data-played]")) played.setAttribute("width", `${answer.needle}%`);
}

/** Moves the needle with a live stream, and says where the song is now. */
export function showPosition() {
  const ends = /** @type {HTMLElement} */ (receiver.querySelector(".ends"));
  const { offset, length } = ends.dataset;
  const heard = Date.parse(receiver.querySelector("time.moment")?.getAttribute("datetime") ?? "");
  const known = { offset: offset ? Number(offset) : null, length: length ? Number(length) : null, heard };
  const at = receiver.dataset["state"] === "found" ? positionNow(known, Date.now()) : null;
  const now = byId("now-at");
  now.textContent = at === null ? "" : at < Number(length) ? gettext(", now %(time)s", { time: clockText(at) }) : gettext(", over by now");
  if (at === null) return;
  const place = `${((100 * at) / Number(length)).toFixed(2)}%`;
  for (const needle of all("[data-needle]")) needle.setAttribute("x", place);
  for (const played of all("[data-played]")) played.setAttribute("width", place);
}

/** A name that may run from right to left, without turning what is around it. @param {string} name */
function isolated(name) {
  const element = document.createElement("bdi");
  element.textContent = name;
  return element;
}

/** @param {AnswerTexts} answer */
function showAlso(answer) {
  byId("also").replaceChildren(...answer.also.map(({ position, title, artists, page }) => {
    const item = document.createElement("li");
    const time = document.createElement("time");
    const words = document.createElement(page ? "a" : "span");
    if (words instanceof HTMLAnchorElement) words.href = page;
    time.textContent = position;
    words.append(isolated(title), ...(artists ? [" – ", isolated(artists)] : []));
    item.append(time, " ", words);
    return item;
  }));
}

/** Shows when it was heard in the reader's time zone, and takes "live" away once that is a while ago. */
export function showMoments() {
  for (const time of all("time.moment")) {
    const moment = new Date(time.getAttribute("datetime") || NaN);
    if (Number.isNaN(moment.getTime())) continue;
    const now = new Date();
    time.textContent = momentText(moment, now, locale());
    if (now.getTime() - moment.getTime() > LIVE_MS) {
      for (const part of all('[data-if="on_air"], [data-if="fresh"]')) part.hidden = true;
    }
  }
}

/** @param {AnswerTexts} answer */
function showReport({ id }) {
  const form = byId("report");
  const field = /** @type {HTMLInputElement} */ (form.querySelector("input[name=id]"));
  /** @type {HTMLAnchorElement} */ (/** @type {unknown} */ (byId("share"))).href = `${root}/?id=${encodeURIComponent(id)}`;
  if (field.value === id) return;
  field.value = id;
  byId("wrong").removeAttribute("open");
  byId("thanks").hidden = true;
  form.hidden = false;
}

/** @param {HTMLAnchorElement} link @param {AnswerTexts} answer */
function showLink(link, answer) {
  const name = link.dataset["link"] ?? "";
  const service = /** @type {Service} */ (name);
  const search = answer.links[service] ? undefined : answer.searches[service];
  if (name === "song_page") {
    // It is the title, which is shown without a link, too.
    if (answer.song_page) link.href = answer.song_page;
    else link.removeAttribute("href");
    return;
  }
  const address = name === "set_list" || name === "watch" ? answer[name] : answer.links[service] ?? search;
  link.hidden = !address;
  if (address) link.href = address;
  else link.removeAttribute("href");
  link.classList.toggle("search", Boolean(search));
  for (const attribute of ["title", "aria-label"]) {
    if (search) link.setAttribute(attribute, gettext("Search on %(service)s", { service: link.dataset["label"] ?? "" }));
    else link.removeAttribute(attribute);
  }
}

/** @param {AnswerTexts} answer */
function showMedia({ cover, preview }) {
  const [picture, player] = [/** @type {HTMLImageElement} */ (byId("cover")), /** @type {HTMLAudioElement} */ (byId("preview"))];
  if (cover) picture.src = root + cover;
  else picture.removeAttribute("src");
  player.hidden = !preview;
  if (preview && player.getAttribute("src") !== root + preview) player.src = root + preview;
  if (!preview) player.removeAttribute("src");
}

/** @param {AnswerTexts} answer */
export function show(answer) {
  receiver.dataset["state"] = answer.state;
  document.title = pageTitle(answer);
  const values = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (answer));
  for (const slot of all("[data-slot]")) {
    const text = String(values[slot.dataset["slot"] ?? ""] ?? "");
    if (slot.dataset["slot"] === "detail") showProse(slot, text);
    else slot.textContent = text;
    slot.hidden = !text;
  }
  for (const fact of all("[data-fact]")) {
    fact.textContent = answer.facts[fact.dataset["fact"] ?? ""] ?? "";
    if (fact.parentElement) fact.parentElement.hidden = !fact.textContent;
  }
  for (const part of all("[data-if]")) {
    const value = values[part.dataset["if"] ?? ""];
    part.hidden = Array.isArray(value) ? value.length === 0 : !value;
  }
  for (const part of all("[data-for]")) {
    const empty = part.dataset["slot"] !== undefined && !part.textContent;
    part.hidden = empty || !(part.dataset["for"] ?? "").split(" ").includes(answer.state);
  }
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (all("[data-link]"))) showLink(link, answer);
  showMedia(answer);
  for (const ends of all(".ends")) {
    if (!answer.scale_end) ends.hidden = true;
    ends.dataset["offset"] = answer.live ? String(answer.offset ?? "") : "";
    ends.dataset["length"] = String(answer.length ?? "");
  }
  for (const moment of all("time.moment")) moment.setAttribute("datetime", answer.heard_at);
  for (const id of ["again", "earlier"]) {
    /** @type {HTMLInputElement} */ (document.querySelector(`#${id} input[name=target]`)).value = answer.ask_again;
  }
  const more = answer.state === "none" && answer.live;
  byId("again-button").toggleAttribute("data-more", more);
  byId("again-button").textContent =
    answer.state === "found" ? gettext("Listen again") : more ? gettext("Try again with more audio") : gettext("Try again");
  showReport(answer);
  // What a channel's owner may change is the answer that the page came with.
  const decide = document.getElementById("decide");
  if (decide) decide.hidden = answer.state !== "found" || decide.dataset["answer"] !== answer.id;
  showStage(answer);
  showDial(answer);
  showAlso(answer);
  showMoments();
  showPosition();
}

/** @param {AnswerTexts} answer @returns {string} one sentence for screen readers */
export function spoken(answer) {
  switch (answer.state) {
    case "idle": return "";
    case "working": return byId("doing").textContent ?? "";
    case "found": {
      const { title, artists, sure } = answer;
      const song = artists ? gettext("%(title)s by %(artists)s", { title, artists }) : title;
      const how = answer.probably || gettext("Found");
      return sure ? gettext("%(how)s: %(song)s, %(sure)s sure.", { how, song, sure }) : `${how}: ${song}.`;
    }
    default: return `${answer.heading}. ${answer.detail.replaceAll("`", "")}`;
  }
}
