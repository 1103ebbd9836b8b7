/** Copy buttons for blocks of text, where browsers have a clipboard. */

import { gettext } from "./messages.js";

/**
 * Gives each block that the selector matches a button, before or after it.
 * @param {string} selector
 * @param {"before" | "after"} place
 */
export function copyButtons(selector, place) {
  if (!navigator.clipboard) return;
  for (const block of document.querySelectorAll(selector)) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = gettext("Copy");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent ?? "");
      button.textContent = gettext("Copied");
      setTimeout(() => { button.textContent = gettext("Copy"); }, 1500);
    });
    block[place](button);
  }
}
