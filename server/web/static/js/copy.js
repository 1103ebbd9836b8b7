/** Copy buttons for blocks of text, where browsers have a clipboard. */

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
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent ?? "");
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    block[place](button);
  }
}
