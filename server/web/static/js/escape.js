/** Escape closes the part that was opened and has the focus, which goes back to what opened it, and empties a search. */

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || event.defaultPrevented || !(event.target instanceof Element)) return;
  const at = event.target;
  if (at instanceof HTMLInputElement && at.type === "search" && at.value) {
    // Chromium does so by itself, Firefox does not.
    event.preventDefault();
    at.value = "";
    at.dispatchEvent(new Event("input", { bubbles: true }));
    return;
  }
  const open = at.closest("details[open]");
  if (!(open instanceof HTMLDetailsElement)) return;
  open.open = false;
  open.querySelector("summary")?.focus();
});
