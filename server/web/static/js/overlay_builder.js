/** The overlay's builder: the preview and the address follow the form. Without it a button does that. */

import { copyButtons } from "./copy.js";
import { language } from "./messages.js";
import "./lib/targets.js";

const { parseTarget } = globalThis.twitchaudio.targets;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (byId("builder"));
const preview = /** @type {HTMLIFrameElement} */ (byId("preview"));
const address = byId("address");
const colors = /** @type {HTMLSelectElement} */ (byId("colors"));
const OWN_COLORS = ["text", "accent", "background"];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;

/** The options that differ from what they are when left out. */
function chosen() {
  const query = new URLSearchParams();
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[name]"))) {
    const { name, value } = field;
    if (name === "channel" || name === "colors") continue;
    if (OWN_COLORS.includes(name)) {
      if (colors.value === "own") query.set(name, value.replace("#", ""));
    } else if (field.validity.valid && value !== field.dataset["usual"]) query.set(name, value);
  }
  // Broadcast software may say another language than this browser.
  if (language !== "en") query.set("lang", language);
  return query;
}

function update() {
  const target = parseTarget(/** @type {HTMLInputElement} */ (byId("channel")).value);
  const login = target?.kind === "channel" ? target.login : "yourchannel";
  for (const name of OWN_COLORS) {
    const part = byId(name).parentElement;
    if (part) part.hidden = colors.value !== "own";
  }
  const query = chosen();
  address.textContent = `${address.dataset["base"]}${login}${query.size ? `?${query}` : ""}`;
  const whose = document.getElementById("whose");
  if (whose) whose.hidden = login !== "yourchannel";
  query.set("test", "1");
  const shown = `${preview.dataset["base"]}${login}?${query}`;
  clearTimeout(waiting);
  if (preview.getAttribute("src") !== shown) waiting = setTimeout(() => preview.contentWindow?.location.replace(shown), 300);
}

byId("update").hidden = true;
form.addEventListener("input", update);
form.addEventListener("submit", () => {
  // The page's own address stays short, too.
  for (const name of OWN_COLORS) /** @type {HTMLInputElement} */ (byId(name)).disabled = colors.value !== "own";
});
addEventListener("pageshow", () => {
  for (const name of OWN_COLORS) /** @type {HTMLInputElement} */ (byId(name)).disabled = false;
});
update();
copyButtons(".address, .examples pre", "after");
