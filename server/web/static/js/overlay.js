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

/** From this width a cover is large enough, also at the largest size. */
const COVER_PIXELS = 240;

/** Whether an address is a path on this server. @param {string | undefined} address */
const own = (address) => Boolean(address?.startsWith("/") && !address.startsWith("//"));

/** @param {SongOfServer} song */
function showCover({ artwork, drawing }) {
  const picture = /** @type {HTMLImageElement | null} */ (document.getElementById("cover"));
  if (!picture) return;
  const covers = (artwork ?? []).filter(({ url }) => own(url)).sort((a, b) => a.width - b.width);
  const best = covers.find(({ width }) => width >= COVER_PIXELS) ?? covers.at(-1);
  const address = root + (best?.url ?? (own(drawing) ? drawing : "/covers/example.svg"));
  if (picture.getAttribute("src") !== address) picture.src = address;
}

/** Moves the bar to where the song is now. */
function showProgress() {
  const bar = /** @type {HTMLProgressElement | null} */ (document.getElementById("progress"));
  if (!bar) return;
  const [offset, length, heard] = [card.dataset["offset"], card.dataset["length"], card.dataset["heard"]];
  bar.hidden = !offset || !Number(length);
  if (bar.hidden) return;
  // The clocks of two machines may differ: what was heard "in the future" was heard now.
  const since = Math.max(0, (Date.now() - new Date(heard ?? "").getTime()) / 1000);
  bar.value = Math.min(100, (100 * (Number(offset) + since)) / Number(length));
}

/** @param {{song: SongOfServer, last_heard: string, probable?: boolean, identifications?: string[]}} play */
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
  card.dataset["answers"] = (play.identifications ?? []).join(" ");
  card.dataset["heard"] = play.last_heard;
  card.dataset["offset"] = String(play.song.offset ?? "");
  card.dataset["length"] = String(play.song.duration ?? "");
  showCover(play.song);
  showProgress();
  hideLater(moment);
}

/** Empties the card when its song is not to be shown any more. @param {{identifications: string[]}} plays */
function remove({ identifications }) {
  const shown = (card.dataset["answers"] ?? "").split(" ");
  if (!identifications.some((id) => shown.includes(id))) return;
  clearTimeout(hiding);
  card.hidden = true;
  title.textContent = artists.textContent = "";
  card.dataset["answers"] = "";
}

/** Another title for the song that is shown. @param {Parameters<typeof show>[0]} play */
function rename(play) {
  const shown = (card.dataset["answers"] ?? "").split(" ");
  if (!card.hidden && play.identifications?.some((id) => shown.includes(id))) show(play);
}

function follow() {
  const events = new EventSource(`${root}/api/v1/channels/${encodeURIComponent(dataset["login"] ?? "")}/events`);
  events.addEventListener("play", (event) => show(JSON.parse(event.data)));
  events.addEventListener("updated", (event) => rename(JSON.parse(event.data)));
  events.addEventListener("removed", (event) => remove(JSON.parse(event.data)));
  // Browsers reconnect by themselves, unless the server has refused the connection.
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000 + Math.random() * 5000);
  });
}

if (card.dataset["heard"]) hideLater(new Date(card.dataset["heard"]).getTime());
showProgress();
if (document.getElementById("progress")) setInterval(showProgress, 1000);
// A test card stays as it is.
if (dataset["test"] === undefined) follow();
