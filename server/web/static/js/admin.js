/**
 * The operator's pages: shows moments in the reader's time zone, since the server only knows UTC; a copy button for a
 * new secret; no undo for what can no longer be undone.
 */

import { copyButtons } from "./copy.js";
import "./escape.js";

const UNDO_MILLISECONDS = 60_000;

copyButtons(".secret", "after");

/** Scrolls the menu to the page's own tab, also when a phone is turned; the window itself stays where it is. */
function showTab() {
  const tab = document.querySelector(".tabs [aria-current]");
  const tabs = tab?.parentElement;
  if (tab instanceof HTMLElement && tabs) tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
}
showTab();
matchMedia("(orientation: portrait)").addEventListener("change", showTab);

const undo = document.querySelector(".note form");
if (undo) {
  setTimeout(() => {
    const note = /** @type {HTMLElement} */ (undo.parentElement);
    if (undo.contains(document.activeElement)) note.focus();
    undo.remove();
  }, UNDO_MILLISECONDS);
}

/** Shows how far the adding of music is, until it ends; then the page is loaded again, with what is new. */
async function follow() {
  const shown = document.getElementById("job");
  if (shown?.dataset["running"] === undefined) return;
  try {
    const response = await fetch(location.pathname, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("job");
    if (response.ok && fresh) {
      if (fresh.dataset["running"] === undefined) {
        location.assign(location.pathname);
        return;
      }
      const [bar, text] = [shown.querySelector("progress"), shown.querySelector("progress + p")];
      const now = fresh.querySelector("progress");
      if (bar && now) bar.value = now.value;
      if (text) text.textContent = fresh.querySelector("progress + p")?.textContent ?? "";
    }
  } catch {
    // The next look tries again.
  }
  setTimeout(() => void follow(), 1000);
}
void follow();

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.getAttribute("datetime") ?? "");
  if (!Number.isNaN(moment.getTime())) {
    time.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  }
}
