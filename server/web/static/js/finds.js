/** The page of the visitor's own finds, of their account and of this browser: search, export, clear. Texts only go through textContent. */

import "./escape.js";
import { asCsv, asJson, merged, parseFinds, readFinds, writeFinds } from "./finds_store.js";
import { gettext, locale, ngettext } from "./messages.js";
import { root } from "./root.js";

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const search = /** @type {HTMLInputElement} */ (byId("q"));
const origin = location.origin + root;
/** @type {import("./finds_store.js").Find[]} */
let cleared = [];
/** Those of the account, as the server wrote them into the page. */
const kept = parseFinds(byId("kept").textContent);
const everyFind = () => merged(kept, readFinds());

/** @param {string} tag @param {string} text @param {Record<string, string>} [attributes] */
function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A path below our own, as the server writes them; what is stored may have been changed. @param {string} path */
const own = (path) => (/^\/songs\/[\w-]+$/.test(path) ? root + path : "");

/** @param {import("./finds_store.js").Find} find */
function row({ id, song, title, artists, source, at }) {
  const moment = new Date(at);
  const item = document.createElement("li");
  const when = element("div", "", { class: "when" });
  const answer = element("a", "", { href: `${root}/?id=${encodeURIComponent(id)}`, title: gettext("Answer") });
  answer.append(
    element("time", moment.toLocaleTimeString(locale(), { hour: "numeric", minute: "2-digit" }), { datetime: at }),
    " ",
    element("time", moment.toLocaleDateString(locale(), { day: "numeric", month: "short", year: "numeric" }), { datetime: at, class: "date" }),
  );
  when.append(answer);
  const what = element("div", "", { class: "what" });
  const name = element("b", title, { dir: "auto" });
  const page = own(song);
  if (page) {
    const link = element("a", "", { class: "title", href: page });
    link.append(name);
    what.append(link);
  } else what.append(name);
  if (artists) what.append(element("span", artists, { dir: "auto" }));
  what.append(element("small", source, { dir: "auto" }));
  item.append(when, what);
  return item;
}

function show() {
  const words = search.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const all = everyFind();
  const shown = all.filter(({ title, artists, source }) => {
    const text = `${title} ${artists} ${source}`.toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
  byId("list").replaceChildren(...shown.map(row));
  byId("count").textContent = ngettext("%(num)s song", "%(num)s songs", shown.length);
  byId("finds").hidden = all.length === 0 && cleared.length === 0;
  byId("empty").hidden = all.length > 0;
  byId("undo").hidden = cleared.length === 0;
  for (const id of ["csv", "json"]) byId(id).hidden = all.length === 0;
  byId("clear").hidden = readFinds().length === 0;
  for (const id of ["filter", "acts"]) byId(id).hidden = false;
}

/** @param {string} name @param {string} type @param {string} text */
function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = /** @type {HTMLAnchorElement} */ (element("a", "", { href: address, download: name }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

search.addEventListener("input", show);
search.form?.addEventListener("submit", (event) => event.preventDefault());
byId("csv").addEventListener("click", () => save("finds.csv", "text/csv", asCsv(everyFind(), origin)));
byId("json").addEventListener("click", () => save("finds.json", "application/json", asJson(everyFind(), origin)));
byId("clear").addEventListener("click", () => {
  cleared = readFinds();
  writeFinds([]);
  show();
  byId("undo").focus();
});
byId("undo").addEventListener("click", () => {
  writeFinds(cleared);
  cleared = [];
  show();
  byId("clear").focus();
});
addEventListener("storage", show);
addEventListener("pageshow", show);
show();
