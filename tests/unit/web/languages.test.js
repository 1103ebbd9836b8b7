/** The website's scripts on a page in German, as test_scripts.py hands it over: they say what the server says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { messages, cases, words } = JSON.parse(readFileSync(process.env.GERMAN, "utf8"));
globalThis.document = {
  documentElement: { lang: "de", dataset: {} },
  getElementById: (id) => (id === "messages" ? { textContent: JSON.stringify(messages) } : null),
};

const served = (name) => import(`${pathToFileURL(process.env.SERVED)}/js/${name}`);
const { answerTexts } = await served("answer_texts.js");
const { detailText, gettext, ngettext } = await served("messages.js");
const { momentText, longDate } = await served("times.js");

test("answers have the texts of the server in German, too", () => {
  assert.ok(cases.length > 10);
  for (const { name, identification, now, texts } of cases) {
    const shown = answerTexts(identification, words, Date.parse(now));
    assert.deepEqual(Object.fromEntries(Object.keys(texts).map((key) => [key, shown[key]])), texts, name);
  }
});

test("values, plurals, dates and the details of problems are in the language", () => {
  assert.equal(gettext("Try again in %(seconds)s s.", { seconds: "$&" }), "Neuer Versuch möglich in $& s.");
  assert.equal(gettext("not translated, %(a)s %%", { a: "%(a)s" }), "not translated, %(a)s %");
  assert.deepEqual([0, 1, 2].map((number) => ngettext("%(num)s song", "%(num)s songs", number)), ["0 Lieder", "1 Lied", "2 Lieder"]);
  assert.equal(momentText(new Date(2025, 10, 20, 12, 2), new Date(2026, 10, 30), "de"), "am 20. November 2025 um 12:02");
  assert.deepEqual(["2024-03-08", "2024-03"].map((text) => longDate(text, "de")), ["8. März 2024", "März 2024"]);
  assert.equal(detailText("There is no channel 'a.b' on Twitch, or it is banned."), "Einen Kanal „a.b“ gibt es auf Twitch nicht, oder er ist gesperrt.");
  assert.equal(detailText("Something for programs."), "");
});
