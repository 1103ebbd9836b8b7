/** The start page: parses what is typed, starts a job, follows it and shows it. Without it the form reloads the page. */

import { IDLE, answerTexts, problemTexts } from "./answer_texts.js";
import { ProblemError, follow, get, identify, isFinished, keepWithAccount, report } from "./api.js";
import "./escape.js";
import { remember } from "./finds_store.js";
import { clockText } from "./lib/answer.js";
import "./lib/targets.js";
import { keepListening } from "./listening.js";
import { gettext, locale } from "./messages.js";
import { byId, showMoments, showPosition, show, spoken } from "./receiver.js";
import { root } from "./root.js";
import { momentText } from "./times.js";

const { parseTarget, toQuestion } = globalThis.twitchaudio.targets;

/** @type {Record<string, ProblemWords>} */
const words = JSON.parse(byId("words").textContent ?? "{}");
const field = /** @type {HTMLInputElement} */ (byId("target"));
const hint = byId("hint");
const submit = /** @type {HTMLButtonElement} */ (document.querySelector("#ask button"));
const wait = byId("wait");

/** One job is followed at a time: starting another, or going back, aborts this. */
let running = new AbortController();
/** @type {ReturnType<typeof setInterval> | undefined} */
let countdown;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let announcing;
/** The identification whose connection was lost, so that another try resumes it. */
let lost = "";

/** Where an element comes in a text. */
const SLOT = "\u0000";

/** A text with an element in its place. @param {string} text @param {HTMLElement} element */
function around(text, element) {
  const [before = "", after = ""] = text.split(SLOT);
  return [before, element, after];
}

function showHint() {
  const target = parseTarget(field.value);
  const bold = document.createElement("b");
  hint.dataset["kind"] = field.value.trim() ? target?.kind ?? "unknown" : "";
  if (!field.value.trim()) {
    hint.replaceChildren(hint.dataset["rest"] ?? "");
    return;
  }
  switch (target?.kind) {
    case "channel":
      bold.textContent = target.login;
      hint.replaceChildren(...around(gettext("Live channel %(channel)s", { channel: SLOT }), bold));
      break;
    case "clip":
      bold.textContent = target.slug;
      hint.replaceChildren(...around(gettext("Clip %(clip)s", { clip: SLOT }), bold));
      break;
    case "video":
      bold.textContent = target.id;
      hint.replaceChildren(...around(gettext("Video %(video)s at %(time)s", { video: SLOT, time: clockText(target.at) }), bold));
      break;
    default:
      bold.textContent = gettext("Not a Twitch name or address yet");
      hint.replaceChildren(bold);
  }
}

/**
 * Announces a text to screen readers.
 * @param {string} text
 * @param {number} [delayMs] a newer text within this time replaces it, so that typing is not talked over
 */
function announce(text, delayMs = 0) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { byId("spoken").textContent = text; }, delayMs);
}

/** @param {number} seconds */
function countDown(seconds) {
  clearInterval(countdown);
  let left = Math.ceil(seconds);
  const tick = () => {
    wait.textContent = left > 0 ? gettext("Try again in %(seconds)s s.", { seconds: left }) : gettext("You can try again now.");
    if (left-- <= 0) clearInterval(countdown);
  };
  wait.textContent = "";
  if (left > 0) {
    tick();
    countdown = setInterval(tick, 1000);
  }
}

/** @param {AnswerTexts} answer */
function display(answer) {
  const focused = document.activeElement;
  const waited = focused === document.body || focused === submit || focused === field || focused?.id === "again-button";
  show(answer);
  countDown(answer.retry_after_seconds);
  const over = answer.state !== "working" && answer.state !== "idle";
  announce(spoken(answer));
  byId("receiver").setAttribute("aria-busy", String(answer.state === "working"));
  if (!over || !waited) return;
  const misunderstood = answer.code === "invalid-input";
  field.toggleAttribute("aria-invalid", misunderstood);
  const heading = document.querySelector(answer.state === "found" ? ".song h2" : ".sorry h2");
  if (misunderstood) field.focus();
  else if (heading instanceof HTMLElement) heading.focus({ preventScroll: answer.state !== "found" });
}

/**
 * Runs one question; a newer one aborts it.
 * @param {(signal: AbortSignal, about: Partial<AnswerTexts>) => Promise<void>} work
 * @param {Partial<AnswerTexts>} about
 */
async function run(work, about) {
  stopListening();
  running.abort();
  running = new AbortController();
  const { signal } = running;
  try {
    await work(signal, about);
  } catch (error) {
    if (signal.aborted) return;
    const problem = error instanceof ProblemError ? error.problem : { code: "internal", detail: "" };
    lost = problem.code === "network" || problem.code === "timeout" ? about.id ?? "" : "";
    display(problemTexts(problem, words, about));
    if (!(error instanceof ProblemError)) throw error;
  }
}

/**
 * Shows an identification until it is finished.
 * @param {Identification} identification
 * @param {AbortSignal} signal
 * @param {boolean} [last] whether "no match" is shown, there being no further try
 */
async function showProgress(identification, signal, last = true) {
  let newest = identification;
  const onState = (/** @type {Identification} */ next) => {
    newest = next;
    if (!signal.aborted && (last || next.status !== "no_match")) display(answerTexts(next, words));
  };
  onState(identification);
  if (!isFinished(identification)) await follow(identification.id, onState, signal);
  return newest;
}

/** Adds a song to the visitor's own finds; opening a shared link adds nothing. @param {Identification} identification */
function keepFind(identification) {
  const { id, title, artists, source, heard_at, song_page } = answerTexts(identification, words);
  remember({ id, title, artists, source, song: song_page.slice(root.length), at: heard_at || new Date().toISOString() });
  keepWithAccount(id);
}

/** Questions in a row for "more audio": each listens to more of a live stream, until one finds a song. */
const MAX_TRIES = 3;

/** @param {string} text @param {{ tries?: number, again?: boolean, ago?: number }} [how] `ago`: of a channel, in seconds */
const start = (text, { tries = 1, again = false, ago = 0 } = {}) => run(async (signal, about) => {
  display({ ...IDLE, state: "working" });
  for (let left = tries; left > 0; left -= 1) {
    const target = parseTarget(text);
    const identification = await identify(ago ? { channel: text, ago } : target ? toQuestion(target) : { url: text }, again);
    if (signal.aborted) return;
    about.id = identification.id;
    history[left === tries ? "pushState" : "replaceState"](null, "", `${root}/?id=${encodeURIComponent(identification.id)}`);
    const newest = await showProgress(identification, signal, left === 1);
    if (!signal.aborted && newest.song) keepFind(newest);
    if (signal.aborted || newest.status !== "no_match") return;
  }
}, { ask_again: text, source: "" });

/** @param {string} id */
const resume = (id) => run(async (signal) => {
  const identification = await get(id);
  if (signal.aborted) return;
  const newest = await showProgress(identification, signal);
  if (!signal.aborted && newest.song && !isFinished(identification)) keepFind(newest);
}, { id, ask_again: field.value || " " });

const keep = byId("keep");
let listening = new AbortController();
listening.abort();

function stopListening() {
  listening.abort();
  keep.setAttribute("aria-pressed", "false");
  keep.textContent = gettext("Keep listening");
}

/** Waits, and then until the page is looked at. @param {number} seconds @param {AbortSignal} signal @returns {Promise<void>} */
const pause = (seconds, signal) => new Promise((resolve) => {
  const go = () => {
    if (document.hidden && !signal.aborted) return;
    document.removeEventListener("visibilitychange", go);
    resolve();
  };
  const timer = setTimeout(() => {
    document.addEventListener("visibilitychange", go);
    go();
  }, seconds * 1000);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    go();
  }, { once: true });
});

/** Goes on listening to a live channel, and shows each next song, until it is stopped. @param {string} channel */
async function listenOn(channel) {
  listening = new AbortController();
  const { signal } = listening;
  keep.setAttribute("aria-pressed", "true");
  keep.textContent = gettext("Stop listening");
  const id = idInAddress();
  const newest = id ? await get(id).catch(() => null) : null;
  await keepListening({
    newest,
    signal,
    pause: (seconds) => pause(seconds, signal),
    ask: async () => {
      let answer = await identify({ channel });
      if (!isFinished(answer)) await follow(answer.id, (next) => { answer = next; }, signal);
      return answer;
    },
    onSong: (answer, next) => {
      history.replaceState(null, "", `${root}/?id=${encodeURIComponent(answer.id)}`);
      show(answerTexts(answer, words));
      if (!next) return;
      keepFind(answer);
      announce(spoken(answerTexts(answer, words)));
    },
    onProblem: (error) => {
      if (!(error instanceof ProblemError)) throw error;
      return error.problem.code === "not-live" ? null : error.problem.retry_after_seconds ?? 60;
    },
  });
  if (!signal.aborted) stopListening();
}

const idInAddress = () => new URLSearchParams(location.search).get("id");

/**
 * @param {string} id
 * @param {() => string} text
 */
function copies(id, text) {
  const button = byId(id);
  const name = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = gettext("Copied");
    setTimeout(() => { button.textContent = name; }, 1500);
  });
}

field.addEventListener("input", () => {
  field.removeAttribute("aria-invalid");
  showHint();
  announce(hint.textContent ?? "", 700);
});
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (matchMedia("(pointer: coarse)").matches) field.blur();
  void start(field.value.trim());
});
byId("again").addEventListener("submit", (event) => {
  event.preventDefault();
  if (lost) void resume(lost);
  else {
    const more = byId("receiver").dataset["state"] === "none" && byId("again-button").dataset["more"] !== undefined;
    const again = /** @type {HTMLInputElement} */ (document.querySelector("#again input[name=target]"));
    void start(again.value, { tries: more ? MAX_TRIES : 1, again: true });
  }
});
keep.addEventListener("click", () => {
  const channel = /** @type {HTMLInputElement} */ (document.querySelector("#again input[name=target]"));
  if (listening.signal.aborted) void listenOn(channel.value);
  else stopListening();
});
keep.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stopListening();
});
byId("earlier").addEventListener("submit", (event) => {
  event.preventDefault();
  const channel = /** @type {HTMLInputElement} */ (document.querySelector("#earlier input[name=target]")).value;
  const pressed = /** @type {HTMLButtonElement | null} */ (event.submitter);
  void start(channel, { ago: Number(pressed?.value ?? 30) });
});
byId("report").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  const fields = new FormData(form);
  const thanks = byId("thanks");
  try {
    await report(String(fields.get("id")), String(fields.get("reason")), String(fields.get("note")));
    form.hidden = true;
    thanks.textContent = gettext("Thank you. Your report was sent to the operator.");
    thanks.hidden = false;
    thanks.focus();
  } catch (error) {
    thanks.textContent = error instanceof Error ? error.message : gettext("It could not be sent.");
  }
  thanks.hidden = false;
});
addEventListener("popstate", () => {
  const id = idInAddress();
  if (id) void resume(id);
  else {
    stopListening();
    running.abort();
    display(IDLE);
  }
});
addEventListener("pageshow", (event) => {
  const id = idInAddress();
  if (id && event.persisted) void resume(id);
});

// Browsers have a clipboard on https and on this machine only.
if (navigator.clipboard) {
  copies("copy-link", () => location.href);
  byId("share").hidden = true;
  copies("copy-song", () => ["title", "artists"]
    .map((slot) => document.querySelector(`[data-slot="${slot}"]`)?.textContent).filter(Boolean).join(" – "));
}
for (const time of document.querySelectorAll(".recent time")) {
  time.textContent = momentText(new Date(time.getAttribute("datetime") ?? ""), new Date(), locale());
}
showMoments();
setInterval(showMoments, 15_000);
showPosition();
setInterval(showPosition, 1000);
keep.hidden = byId("earlier").hidden;
if (field.value) showHint();
countDown(Number(wait.dataset["seconds"] ?? 0));
const first = idInAddress();
if (byId("ask").dataset["asks"] !== undefined) {
  // Going back from the answer leads to the start page, which does not ask again.
  history.replaceState(null, "", `${root}/`);
  void start(field.value.trim());
}
if (first && byId("receiver").dataset["state"] === "working") void resume(first);
