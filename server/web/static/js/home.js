// @ts-check
/** The page's behavior: understand, ask, follow, show. Without it the form works with a reload. */

import { IDLE, answerOf, clockText, problemAnswer } from "./answer.js";
import { ProblemError, ask, follow, get, isFinished, report } from "./api.js";
import { understand } from "./target.js";
import { byId, localizeTimes, show, spoken } from "./view.js";

/** @typedef {import("./answer.js").Answer} Answer */
/** @typedef {import("./answer.js").Identification} Identification */

/** @type {Record<string, import("./answer.js").Words>} */
const words = JSON.parse(byId("words").textContent ?? "{}");
const field = /** @type {HTMLInputElement} */ (byId("target"));
const hint = byId("hint");
const submit = /** @type {HTMLButtonElement} */ (document.querySelector("#ask button"));
const wait = byId("wait");

/** One question at a time: asking another, or going back, ends the following of the last. */
let running = new AbortController();
/** @type {ReturnType<typeof setInterval> | undefined} */
let countdown;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let saying;
/** The identification in view, so that a try after a lost connection comes back to it. */
let lost = "";

function showHint() {
  const target = understand(field.value);
  const bold = document.createElement("b");
  hint.dataset["kind"] = field.value.trim() ? target.kind : "";
  if (!field.value.trim()) {
    hint.replaceChildren(hint.dataset["rest"] ?? "");
    return;
  }
  switch (target.kind) {
    case "channel":
      bold.textContent = target.login;
      hint.replaceChildren("Live channel ", bold);
      break;
    case "clip":
      bold.textContent = target.slug;
      hint.replaceChildren("Clip ", bold);
      break;
    case "video":
      bold.textContent = target.id;
      hint.replaceChildren("Video ", bold, ` at ${clockText(target.at)}`);
      break;
    default:
      bold.textContent = "Not a Twitch name or address yet";
      hint.replaceChildren(bold);
  }
}

/**
 * Tell those who listen to the page instead of seeing it.
 * @param {string} text
 * @param {number} [pause] how long it must stay the newest, so that typing is not talked over
 */
function say(text, pause = 0) {
  clearTimeout(saying);
  saying = setTimeout(() => { byId("spoken").textContent = text; }, pause);
}

/** @param {number} seconds */
function countDown(seconds) {
  clearInterval(countdown);
  let left = Math.ceil(seconds);
  const say = () => {
    wait.textContent = left > 0 ? `Best in about ${left} s.` : "Now is a good moment.";
    if (left-- <= 0) clearInterval(countdown);
  };
  wait.textContent = "";
  if (left > 0) {
    say();
    countdown = setInterval(say, 1000);
  }
}

/** @param {Answer} answer */
function display(answer) {
  const asking = document.activeElement;
  const waited = asking === document.body || asking === submit || asking === field || asking?.id === "again-button";
  show(answer);
  countDown(answer.retry_after_seconds);
  const over = answer.state !== "working" && answer.state !== "idle";
  say(spoken(answer));
  byId("receiver").setAttribute("aria-busy", String(answer.state === "working"));
  if (!over || !waited) return;
  const misunderstood = answer.code === "invalid-input";
  field.toggleAttribute("aria-invalid", misunderstood);
  const heading = document.querySelector(answer.state === "found" ? ".song h2" : ".sorry h2");
  if (misunderstood) field.focus();
  else if (heading instanceof HTMLElement) heading.focus({ preventScroll: answer.state !== "found" });
}

/**
 * Run one question; a newer one takes over.
 * @param {(signal: AbortSignal, about: Partial<Answer>) => Promise<void>} work
 * @param {Partial<Answer>} about
 */
async function run(work, about) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  try {
    await work(signal, about);
  } catch (error) {
    if (signal.aborted) return;
    const problem = error instanceof ProblemError ? error.problem : { code: "internal", detail: "" };
    lost = problem.code === "network" || problem.code === "timeout" ? about.id ?? "" : "";
    display(problemAnswer(problem, words, about));
    if (!(error instanceof ProblemError)) throw error;
  }
}

/**
 * @param {Identification} asked
 * @param {AbortSignal} signal
 * @param {boolean} [last] whether "no match" is the end of it
 */
async function see(asked, signal, last = true) {
  let newest = asked;
  const take = (/** @type {Identification} */ next) => {
    newest = next;
    // Nothing found, but there is another try: go on listening.
    if (!signal.aborted && (last || next.status !== "no_match")) display(answerOf(next, words));
  };
  take(asked);
  if (!isFinished(asked)) await follow(asked.id, take, signal);
  return newest;
}

/** So many questions in a row listen to more and more of a live stream, until one of them finds a song. */
const MORE_TRIES = 3;

/** @param {string} text @param {number} [tries] */
const start = (text, tries = 1) => run(async (signal, about) => {
  display({ ...IDLE, state: "working" });
  for (let left = tries; left > 0; left -= 1) {
    const asked = await ask(text, understand(text));
    if (signal.aborted) return;
    about.id = asked.id;
    history[left === tries ? "pushState" : "replaceState"](null, "", `/?id=${encodeURIComponent(asked.id)}`);
    const newest = await see(asked, signal, left === 1);
    if (signal.aborted || newest.status !== "no_match") return;
  }
}, { ask_again: text, source: "" });

/** @param {string} id */
const resume = (id) => run(async (signal) => {
  const asked = await get(id);
  if (!signal.aborted) await see(asked, signal);
}, { id, ask_again: field.value || " " });

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
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = name; }, 1500);
  });
}

field.addEventListener("input", () => {
  field.removeAttribute("aria-invalid");
  showHint();
  say(hint.textContent ?? "", 700);
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
    const more = byId("receiver").dataset["state"] === "none" && byId("again-button").textContent?.includes("more");
    const again = /** @type {HTMLInputElement} */ (document.querySelector("#again input[name=target]"));
    void start(again.value, more ? MORE_TRIES : 1);
  }
});
byId("report").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  const said = new FormData(form);
  const thanks = byId("thanks");
  try {
    await report(String(said.get("id")), String(said.get("reason")), String(said.get("note")));
    form.hidden = true;
    thanks.textContent = "Thank you. The operator will see it.";
  } catch (error) {
    thanks.textContent = error instanceof Error ? error.message : "It could not be sent.";
  }
  thanks.hidden = false;
});
addEventListener("popstate", () => {
  const id = idInAddress();
  if (id) void resume(id);
  else {
    running.abort();
    display(IDLE);
  }
});
addEventListener("pageshow", (event) => {
  const id = idInAddress();
  if (id && event.persisted) void resume(id);
});

// The clipboard is there on https and on this machine only.
if (navigator.clipboard) {
  copies("copy-link", () => location.href);
  byId("share").hidden = true;
  copies("copy-song", () => ["title", "artists"]
    .map((slot) => document.querySelector(`[data-slot="${slot}"]`)?.textContent).filter(Boolean).join(" – "));
}
localizeTimes();
if (field.value) showHint();
countDown(Number(wait.dataset["seconds"] ?? 0));
const first = idInAddress();
if (first && byId("receiver").dataset["state"] === "working") void resume(first);
