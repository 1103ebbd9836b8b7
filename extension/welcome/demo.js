/** The simulated stream on the welcome page: the real button and panel, a made-up song, and no server. */

import { DEFAULT_SERVER } from "../lib/address.js";
import { ProblemError } from "../lib/problem.js";
import { problemView, viewOf } from "../lib/view.js";
import { byId, say } from "../ui/common.js";
import { tune } from "./tune.js";

const CHANNEL = "neonharbour";

/** @type {Identification} */
const ANSWER = {
  id: "demo", kind: "stream", target: CHANNEL, status: "running", stage: "resolving", created_at: "", finished_at: null,
  song: null, songs: [], problem: null,
};
/** @type {SongOfServer} */
const SONG = { title: "Harbour Lights", artists: ["Neon Avenue"], album: "Night Ferries", duration: 214, offset: 63, links: {} };

/** What a server would answer, one after the other. @type {Partial<Identification>[]} */
const STEPS = [{}, { stage: "capturing" }, { stage: "recognizing" }, { status: "successful", stage: "done", song: SONG, songs: [SONG] }];

export function connectDemo() {
  const stage = byId("stage", HTMLElement);
  const play = byId("play", HTMLButtonElement);
  /** @type {Target} */
  const target = { kind: "channel", key: `channel:${CHANNEL}`, label: CHANNEL, question: () => ({ channel: CHANNEL }) };
  let step = 0;
  const asking = twitchaudio.asking.create({
    send: /** @type {Send} */ (/** @type {unknown} */ (async (/** @type {MessageName} */ name) => {
      step = name === "ask" ? 0 : step + 1;
      const view = viewOf({ ...ANSWER, ...STEPS[Math.min(step, STEPS.length - 1)] }, say, DEFAULT_SERVER);
      return view.state === "found" ? { ...view, note: say("welcome_made_up") } : view;
    })),
    show(view) {
      button.setBusy(view.state === "working");
      button.setOpen(true);
      panel.show(view, target);
    },
    problem: (code) => problemView(new ProblemError(code), say, DEFAULT_SERVER),
  });

  const button = twitchaudio.button.create(say("button_label"), (byKeyboard) => {
    if (panel.open) hide(false);
    else void asking.ask(target.question);
    if (byKeyboard) button.element.focus();
  });
  const panel = twitchaudio.panel.create({
    act: () => void asking.ask(target.question),
    closed: (byKeyboard) => hide(byKeyboard),
    leave: () => button.element.focus(),
    isEditable: (element) => element instanceof HTMLInputElement,
    isControl: (element) => element instanceof Element && element.matches("button, a[href], .controls"),
  });

  /** @param {boolean} focusButton */
  function hide(focusButton) {
    asking.end("close");
    button.setBusy(false);
    button.setOpen(false);
    panel.hide();
    if (focusButton) button.element.focus();
  }

  byId("controls", HTMLElement).append(button.wrapper);
  panel.host.dataset["theme"] = "dark";
  stage.append(panel.host);
  stage.addEventListener("keydown", (event) => { if (event.composedPath().includes(panel.host)) panel.key(event); }, true);

  const sound = tune();
  play.addEventListener("click", () => {
    const on = sound.toggle();
    play.setAttribute("aria-pressed", String(on));
    stage.toggleAttribute("data-playing", on);
  });
}
