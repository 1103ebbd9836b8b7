/** The card over a broadcast: styled by the options in its address, updated as songs are heard, hidden when the last is old. */

import { root } from "./root.js";

const { dataset } = document.body;
const card = /** @type {HTMLElement} */ (document.getElementById("card"));
const title = /** @type {HTMLElement} */ (document.getElementById("title"));
const probably = /** @type {HTMLElement} */ (document.getElementById("probably"));
const artists = /** @type {HTMLElement} */ (document.getElementById("artists"));
const looks = document.documentElement.style;
looks.setProperty("--scale", String(Number(dataset["size"]) / 100));
looks.setProperty("--text", dataset["text"] ?? "");
looks.setProperty("--accent", dataset["accent"] ?? "");
looks.setProperty("--back", dataset["background"] === "none" ? "transparent" : dataset["background"] ?? "");

const hideMs = Number(dataset["hide"]) * 1000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;

/** @param {number} heard when the song was last heard, in milliseconds */
function hideLater(heard) {
  clearTimeout(hiding);
  if (!hideMs) return;
  const left = heard + hideMs - Date.now();
  if (left <= 0) card.hidden = true;
  else hiding = setTimeout(() => { card.hidden = true; }, Math.min(left, 2 ** 31 - 1));
}

/** @param {{song: {title: string, artists: string[]}, last_heard: string, probable?: boolean}} play */
function show(play) {
  const heard = new Date(play.last_heard).getTime();
  // The clocks of two machines may differ: what was heard "in the future" was heard now.
  const moment = Math.min(heard, Date.now());
  if (hideMs && Date.now() - moment > hideMs) return;
  const names = play.song.artists.join(", ");
  if (card.hidden || title.textContent !== play.song.title || artists.textContent !== names) {
    title.textContent = play.song.title;
    artists.textContent = names;
    artists.hidden = !names;
    card.hidden = false;
    card.classList.remove("new");
    void card.offsetWidth;
    card.classList.add("new");
  }
  probably.hidden = !play.probable;
  hideLater(moment);
}

function follow() {
  const events = new EventSource(`${root}/api/v1/channels/${encodeURIComponent(dataset["login"] ?? "")}/events`);
  events.addEventListener("play", (event) => show(JSON.parse(event.data)));
  // Browsers reconnect by themselves, unless the server has refused the connection.
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000 + Math.random() * 5000);
  });
}

if (card.dataset["heard"]) hideLater(new Date(card.dataset["heard"]).getTime());
follow();
