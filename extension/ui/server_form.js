/** The form for a server's address, in the options and on the welcome page: what is wrong with it is said while it is typed. */

import { addressProblem, parseServer, permissionPattern } from "../lib/address.js";
import { askPermission, byId, say, send, showMessage } from "./common.js";

/** What was typed is looked at after so long without a key. */
const TYPING_MS = 500;

/**
 * Checks a server and saves its address; what is wrong is said in `says`. Must be called in a click, in which the browser
 * asks for the permission for this one host.
 * @param {string} typed
 * @param {HTMLElement} busy where it is said that the server is being asked
 * @param {HTMLElement} says where it is said how that went
 * @returns {Promise<string | null>} the origin that is saved
 */
export async function useServer(typed, busy, says) {
  const origin = addressProblem(typed) ? null : parseServer(typed);
  const permission = origin && askPermission(permissionPattern(origin));
  showMessage(says, null);
  showMessage(busy, origin ? say("server_checking", [new URL(origin).host]) : null);
  try {
    await permission;
    const problem = await send("set-server", { server: typed });
    showMessage(says, problem ?? say("options_server_done"));
    return problem ? null : origin;
  } finally {
    showMessage(busy, null);
  }
}

/**
 * Connects the form `#server-form` with what it says.
 * @param {(origin: string | null) => Promise<void>} tried called after each attempt, with what is saved
 */
export function connectServerForm(tried) {
  const form = byId("server-form", HTMLFormElement);
  const field = byId("server", HTMLInputElement);
  const hint = byId("server-hint", HTMLElement);
  const busy = byId("server-busy", HTMLElement);
  const says = byId("server-says", HTMLElement);
  const meant = byId("server-meant", HTMLButtonElement);
  let timer = 0;

  /** @param {boolean} withReason whether the reason is said here, not as the result of an attempt */
  function look(withReason) {
    clearTimeout(timer);
    const typed = field.value.trim();
    const problem = typed ? addressProblem(typed) : null;
    field.setAttribute("aria-invalid", String(problem !== null));
    hint.textContent = problem && withReason ? say(`address_${problem.reason}`) : "";
    hint.hidden = hint.textContent === "";
    meant.hidden = !problem?.suggestion;
    meant.value = problem?.suggestion ?? "";
    meant.textContent = meant.value && say("action_use_address", [meant.value]);
  }

  field.addEventListener("input", () => {
    showMessage(says, null);
    // A reason that no longer holds goes at once; another one waits until the typing rests.
    if (!addressProblem(field.value)) look(true);
    clearTimeout(timer);
    timer = window.setTimeout(look, TYPING_MS, true);
  });
  meant.addEventListener("click", () => {
    field.value = meant.value;
    showMessage(says, null);
    look(true);
    field.focus();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    look(false);
    form.setAttribute("aria-busy", "true");
    try {
      const origin = await useServer(field.value, busy, says);
      if (origin) field.value = origin;
      await tried(origin);
    } finally {
      form.removeAttribute("aria-busy");
    }
  });
}
