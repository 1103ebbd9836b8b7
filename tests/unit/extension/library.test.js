/** The extension's parts that know no browser: run by Node, from tests/unit/extension/test_library.py. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ADDRESS_REASONS, addressProblem, isHome, isSafe, parseServer, permissionPattern } from "../../../extension/lib/address.js";
import { answerView, pointsOf, safeLink, smallCover } from "../../../extension/lib/answer.js";
import { call, identification, asVersionProblem, picture, status } from "../../../extension/lib/api.js";
import { MAX_ENTRIES, added, csv, json, matching } from "../../../extension/lib/history.js";
import { accepted } from "../../../extension/lib/messages.js";
import { LOCAL_CODES, ProblemError } from "../../../extension/lib/problem.js";
import { authorizeAddress, tokenFrom } from "../../../extension/lib/sign_in.js";
import { tabAdvice } from "../../../extension/lib/site_access.js";
import "../../../extension/lib/targets.js";
import { problemView, viewOf } from "../../../extension/lib/view.js";

const SERVER = "https://songs.example";
const say = (key, values = []) => `${key}${values.length ? `(${values})` : ""}`;

test("an address is over TLS, or on this machine, and may have a path", () => {
  const table = {
    "songs.example": "https://songs.example",
    " https://Songs.Example:8443/ ": "https://songs.example:8443",
    "127.0.0.1:8080": "http://127.0.0.1:8080",
    "localhost": "http://localhost",
    "http://127.0.0.1:8080/": "http://127.0.0.1:8080",
    "http://songs.example": null,
    "http://127.0.0.1.evil.example": null,
    "http://localhost.evil.example": null,
    "https://a:b@songs.example": null,
    "https://songs.example/path": "https://songs.example/path",
    "songs.example/TwitchAudio/": "https://songs.example/TwitchAudio",
    "https://songs.example:8443/a/b.c~d-e_f": "https://songs.example:8443/a/b.c~d-e_f",
    "localhost:8080/twitchaudio": "http://localhost:8080/twitchaudio",
    "https://songs.example/a/../b": "https://songs.example/b",
    "https://songs.example/a//b": null,
    "https://songs.example/a%2fb": null,
    "https://songs.example/api/v1": null,
    "https://songs.example/twitchaudio/docs": null,
    "https://songs.example/?x": null,
    "javascript:alert(1)": null,
    "": null,
    "two words": null,
  };
  for (const [typed, origin] of Object.entries(table)) assert.equal(parseServer(typed), origin, typed);
  assert.equal(permissionPattern("https://songs.example:8443"), "https://songs.example/*");
  assert.equal(permissionPattern("https://songs.example:8443/twitchaudio"), "https://songs.example/*");
  assert.ok(isSafe("http://127.0.0.1:1"));
  assert.ok(isSafe("https://songs.example/twitchaudio"));
  assert.ok(!isSafe("https://songs.example/twitchaudio/"));
  assert.ok(!isSafe("http://192.0.2.1"));
});

test("what is wrong with a typed address is told, with what was probably meant", () => {
  const table = {
    "songs.example": null, "songs.example:8443": null, "https://songs": null, "127.0.0.1:8080": null, "https://192.168.1.5": null,
    "münchen.example": null, "https://[fd00::5]:8443": null, "http://localhost": null,
    "": ["name", ""], "songs": ["name", ""], "x y": ["name", ""], "songs.example:99999": ["name", ""], "https://": ["name", ""],
    "songs,example": ["name", "https://songs.example"], "songs..example": ["name", "https://songs.example"],
    "songs .example": ["name", "https://songs.example"], "-songs.example": ["name", ""], "javascript:alert(1)": ["name", ""],
    "htps://songs.example": ["scheme", "https://songs.example"], "https//songs.example": ["scheme", "https://songs.example"],
    "https:/songs.example": ["scheme", "https://songs.example"], "https;//songs.example": ["scheme", "https://songs.example"],
    "https://https://songs.example": ["scheme", "https://songs.example"], "ftp://songs.example": ["scheme", "https://songs.example"],
    "http://songs.example": ["http", "https://songs.example"], "http://songs.example:8080/docs": ["http", "https://songs.example:8080"],
    "http://192.168.1.5:8080": ["home", ""], "http://10.0.0.2": ["home", ""], "http://nas:8080": ["home", ""], "http://pi.local": ["home", ""],
    "http://172.32.0.1": ["http", "https://172.32.0.1"],
    "http://0.0.0.0:8080": ["loopback", "http://127.0.0.1:8080"], "http://[::1]:8080": ["loopback", "http://127.0.0.1:8080"],
    "https://user:pw@songs.example": ["credentials", "https://songs.example"], "me@songs.example": ["credentials", "https://songs.example"],
    "https://songs.example/docs": ["path", "https://songs.example"], "songs.example/?a=b#c": ["path", "https://songs.example"],
    "localhost:8080/docs": ["path", "http://localhost:8080"], "songs.example/twitchaudio": null, "https://songs.example/twitchaudio/": null,
    "https://songs.example/twitchaudio/admin/codes?x=1": ["path", "https://songs.example/twitchaudio"],
    "songs.example/twitchaudio/api/v1": ["path", "https://songs.example/twitchaudio"],
    "songs.example/a//b": ["path", "https://songs.example"], "http://songs.example/twitchaudio": ["http", "https://songs.example/twitchaudio"],
    "https//songs.example/twitchaudio/": ["scheme", "https://songs.example/twitchaudio"],
    "https://www.twitch.tv/somechannel": ["twitch", ""], "twitch.tv": ["twitch", ""],
  };
  for (const [typed, expected] of Object.entries(table)) {
    const told = addressProblem(typed);
    assert.deepEqual(told && [told.reason, told.suggestion], expected, typed);
    if (told?.suggestion) assert.equal(addressProblem(told.suggestion), null, typed);
    if (told === null) assert.notEqual(parseServer(typed), null, typed);
  }
  assert.deepEqual(new Set(Object.values(table).filter(Boolean).map(([reason]) => reason)), new Set(ADDRESS_REASONS));
  assert.deepEqual(["10.1.2.3", "172.20.0.1", "nas", "pi.local", "songs.example", "127.0.0.1", "172.15.0.1"].map(isHome),
    [true, true, true, true, false, false, false]);
});

test("the pop-up says what can be done on a tab, and why there is no button", () => {
  const page = (kind) => ({ kind, label: "x", view: null, button: "player", report: "" });
  const advice = (given) => { const { key, can, allow, earlier } = tabAdvice({ page: null, url: "", allowed: true, ...given }); return [key, can, allow, earlier]; };
  assert.deepEqual(advice({ page: page("channel") }), ["popup_page_channel", true, false, true]);
  assert.deepEqual(advice({ page: page("clip"), allowed: false }), ["popup_page_clip", true, false, false]);
  assert.deepEqual(advice({ url: "https://www.twitch.tv/x" }), ["popup_page_unready", true, false, false]);
  assert.deepEqual(advice({ url: "https://m.twitch.tv/x" }), ["popup_page_mobile", true, false, false]);
  assert.deepEqual(advice({ url: "https://www.twitch.tv/x", allowed: false }), ["popup_page_withheld", true, true, false]);
  assert.deepEqual(advice({ allowed: false }), ["popup_page_withheld", false, true, false]);
  assert.deepEqual(advice({ page: page(null), url: "https://www.twitch.tv/directory" }), ["popup_page_other", false, false, false]);
  assert.deepEqual(advice({ url: "https://elsewhere.example/www.twitch.tv/" }), ["popup_page_other", false, false, false]);
});

const answering = (body, init = {}) => ({ fetch: async () => new Response(body, init), online: () => true });
const failing = (error, online = true) => ({ fetch: async () => { throw error; }, online: () => online });
const code = (wanted) => (error) => error instanceof ProblemError && error.code === wanted;

test("every way a request can fail has its code", async () => {
  const ask = (network, server = SERVER) => call(network, server, "/status");
  await assert.rejects(ask(failing(new TypeError("Failed to fetch"), false)), code("offline"));
  await assert.rejects(ask(failing(new TypeError("Failed to fetch"))), code("connection-not-secure"));
  await assert.rejects(ask(failing(new TypeError("Failed to fetch"), false), "http://127.0.0.1:1"), code("server-unreachable"));
  await assert.rejects(ask(failing(new DOMException("late", "TimeoutError"))), code("server-slow"));
  await assert.rejects(ask(answering("<h1>A shop</h1>")), code("not-a-server"));
  for (const status of [502, 503, 504]) {
    await assert.rejects(ask(answering("<h1>Bad gateway</h1>", { status, headers: { "Retry-After": "9" } })),
      (error) => code("gateway-error")(error) && error.wait === 9);
    await assert.rejects(ask(answering("{}", { status })), code("gateway-error"));
  }
  await assert.rejects(ask(answering("Oops", { status: 500 })), code("gateway-error"));
  await assert.rejects(ask(answering("<h1>Slow down</h1>", { status: 429 })), code("rate-limited"));
  for (const status of [401, 403, 407, 511]) await assert.rejects(ask(answering("<h1>Sign in</h1>", { status })), code("refused-on-the-way"));
  for (const body of ["<h1>A shop</h1>", '{"detail":"Not Found"}']) await assert.rejects(ask(answering(body, { status: 404 })), code("not-a-server"));
  await assert.rejects(ask({ fetch: async () => ({ type: "opaqueredirect" }), online: () => true }), code("server-redirects"));
  await assert.rejects(ask(answering('"text"')), code("not-a-server"));
  await assert.rejects(ask(answering('{"a":"' + "x".repeat(1_000_001) + '"}')), code("not-a-server"));
  await assert.rejects(ask(answering("{}"), "http://songs.example"), code("address-invalid"));
  const busy = answering('{"code":"busy","detail":"Later."}', { status: 503, headers: { "Retry-After": "7" } });
  await assert.rejects(ask(busy), (error) => code("busy")(error) && error.wait === 7 && error.detail === "Later.");
});

test("a token goes in a header, to the configured server, and cookies never", async () => {
  let asked;
  const network = { online: () => true, fetch: async (...given) => { asked = given; return new Response("{}"); } };
  await call(network, SERVER, "/me", { credential: { kind: "bearer", value: "secret" }, wait: 1 });
  assert.equal(asked[0], `${SERVER}/api/v1/me`);
  assert.equal(asked[1].headers.Authorization, "Bearer secret");
  assert.equal(asked[1].headers.Prefer, "wait=1");
  assert.equal(asked[1].credentials, "omit");
  assert.equal(asked[1].redirect, "manual");
});

test("an answer may be of before, unless the viewer wants to hear it again", async () => {
  let init;
  const network = { online: () => true, fetch: async (_, given) => { init = given; return new Response("{}"); } };
  const ask = async (more) => { await call(network, SERVER, "/identifications", { method: "POST", body: {}, ...more }); return init; };
  // A browser adds "no-cache" of its own to a request with the mode "no-store".
  assert.deepEqual([(await ask({})).headers["Cache-Control"], init.cache], [undefined, "default"]);
  assert.deepEqual([(await ask({ fresh: true })).headers["Cache-Control"], init.cache], ["no-cache", "default"]);
  await call(network, SERVER, "/status");
  assert.equal(init.cache, "no-store");
});

test("answers of servers of another age are noticed", () => {
  for (const body of [{}, { id: "x", status: "done", stage: "" }, { id: "x", status: "successful", stage: "done", song: {} }]) {
    assert.throws(() => identification(body), code("server-too-old"));
  }
  assert.throws(() => status({ version: "0" }), code("server-too-old"));
  assert.throws(() => status({}), code("not-a-server"));
  assert.ok(code("server-too-old")(asVersionProblem(new ProblemError("not-found"), [])));
  assert.ok(code("busy")(asVersionProblem(new ProblemError("busy"), [])));
});

const SONG = { title: "T", artists: ["A", "B"], album: null, duration: 100, offset: -1, links: { spotify: null, youtube: null, deezer: null } };
const ANSWER = { id: "x", kind: "stream", target: "c", status: "running", stage: "capturing", created_at: "2026-01-01T00:00:00Z",
  finished_at: null, song: null, songs: [], problem: null };

test("an answer becomes what is shown", () => {
  assert.deepEqual(viewOf(ANSWER, say, SERVER), { state: "working", id: "x", stage: 1, blocked: false, wait: null });
  assert.equal(viewOf({ ...ANSWER, stage: "unheard-of" }, say, SERVER).stage, 0);
  const songs = [SONG, { ...SONG, title: "Other" }];
  const found = viewOf({ ...ANSWER, kind: "clip", status: "successful", song: SONG, songs }, say, SERVER);
  assert.deepEqual([found.song.title, found.song.artists, found.song.moment, found.song.length], ["T", "A, B", "0:00", "1:40"]);
  assert.deepEqual(found.song.links.map(({ service, exact }) => [service, exact]), [["spotify", false], ["youtube", false], ["deezer", false], ["apple_music", false]]);
  assert.deepEqual(found.others.map((song) => song.title), ["Other"]);
  for (const [score, probably] of [[0.7, "song_probably"], [0.85, "song_probably"], [0.86, ""], [null, ""], ["0.7", ""]]) {
    assert.equal(viewOf({ ...ANSWER, status: "successful", song: SONG, score }, say, SERVER).probably, probably);
  }
  for (const [corrected, said] of [[true, "song_corrected"], [false, ""], [undefined, ""], ["true", ""]]) {
    assert.equal(viewOf({ ...ANSWER, status: "successful", song: { ...SONG, corrected } }, say, SERVER).corrected, said);
  }
  assert.equal(viewOf({ ...ANSWER, status: "no_match" }, say, SERVER).text, "none_text");
  assert.equal(viewOf({ ...ANSWER, kind: "clip", status: "no_match" }, say, SERVER).text, "none_text_recorded");
});

test("a video without sound at the moment says what was listened to instead", () => {
  const video = { ...ANSWER, kind: "video", at: 100, captured_from: 60, captured_seconds: 20, status: "no_match" };
  assert.deepEqual(answerView(video).elsewhere, { asked: "1:40", from: "1:00", until: "1:20" });
  assert.equal(viewOf(video, say, SERVER).text, "panel_elsewhere(1:40,1:00,1:20) none_text_recorded");
  assert.equal(viewOf({ ...video, status: "successful", song: SONG }, say, SERVER).note, "panel_elsewhere(1:40,1:00,1:20)");
  for (const near of [{ at: 60 }, { at: 82 }, { at: 58 }, { at: null }, { captured_from: null }, { kind: "clip" }]) {
    assert.equal(answerView({ ...video, ...near }).elsewhere, null);
  }
});

test("an answer says that its place is uncertain", () => {
  const video = { ...ANSWER, kind: "video", at: 100, captured_from: 60, captured_seconds: 20, status: "no_match", place_uncertain: true };
  assert.equal(viewOf(video, say, SERVER).text, "panel_elsewhere(1:40,1:00,1:20) panel_uncertain none_text_recorded");
  assert.equal(viewOf({ ...video, at: 60, status: "successful", song: SONG }, say, SERVER).note, "panel_uncertain");
  assert.equal(viewOf({ ...video, at: 60, place_uncertain: "odd" }, say, SERVER).text, "none_text_recorded");
});

test("an answer says which moment of a live stream it is about, where that is not the live one", () => {
  const at = (behind_live) => ({ ...ANSWER, status: "no_match", moment: { broadcast: null, seconds: null, behind_live } });
  const note = (identification, ago) => viewOf(identification, say, SERVER, null, ago).text.replace(/ ?none_text$/, "");
  for (const [identification, ago, expected] of [
    [at(300), 300, "moment_behind(5:00)"], [at(300), 0, "moment_behind(5:00)"], [at(4), 0, ""], [at(null), 0, ""],
    // Asked for an earlier moment, answered with the live one: by a server of before, or as nothing else is left.
    [at(4), 300, "moment_live"], [at(null), 300, "moment_live"], [{ ...ANSWER, status: "no_match" }, 300, "moment_live"],
    [{ ...at(90), asked_at: "2026-01-01T00:00:00Z" }, 300, "moment_behind(5:00)"],
    [{ ...at(null), asked_at: "2026-01-01T00:00:00Z" }, 300, "moment_behind(5:00)"],
    [{ ...at(300), moment: "odd" }, 0, ""], [{ ...at(300), kind: "clip" }, 0, ""],
  ]) assert.equal(note(identification, ago).replace("none_text_recorded", ""), expected, JSON.stringify([identification.moment, ago]));
  assert.equal(viewOf({ ...at(75), status: "successful", song: SONG }, say, SERVER).note, "moment_behind(1:15)");
});

test("a song that is played faster, slower, higher or lower says so", () => {
  const cases = /** @type {const} */ ([[1.25, 3.86, "panel_faster(25)"], [0.8, -3.86, "panel_slower(20)"], [1, 2, "panel_higher(2)"],
    [0.9, -3.1, "panel_slower(10) panel_lower(3)"], [1.01, 0.17, ""], [null, null, ""], ["2", {}, ""]]);
  for (const [speed, pitch, note] of cases) {
    const song = /** @type {SongOfServer} */ ({ ...SONG, speed, pitch });
    assert.equal(viewOf({ ...ANSWER, status: "successful", song }, say, SERVER).note, note);
  }
});

test("what a server sends in place of a number or a link is not shown", () => {
  const odd = { ...SONG, offset: "5", duration: NaN, position: null, links: { spotify: "javascript:alert(1)", youtube: 7 } };
  const { song } = answerView({ ...ANSWER, status: "successful", song: odd, score: "high" });
  assert.deepEqual([song.moment, song.length, song.played, song.position, song.links], ["", "", null, "0:00", {}]);
  assert.throws(() => viewOf({ ...ANSWER, status: "successful" }, say, SERVER), code("server-too-old"));
});

test("targets are parsed as the server does", () => {
  const { parseTarget, toQuestion } = globalThis.twitchaudio.targets;
  for (const { text, question = null } of JSON.parse(readFileSync(new URL("../targets.json", import.meta.url), "utf8"))) {
    const target = parseTarget(text);
    assert.deepEqual(target && toQuestion(target), question, text);
  }
});

test("a code of a newer server is shown in the server's own words", () => {
  const wordless = (name) => (name.startsWith("problem_not_yet_known") ? "" : say(name));
  const passing = problemView(new ProblemError("not-yet-known", "The sentence.", 5, "The title"), wordless, SERVER);
  assert.deepEqual([passing.heading, passing.text, passing.wait], ["The title", "The sentence.", 5]);
  assert.deepEqual(passing.actions.map((each) => each.name), ["retry"]);
  const lasting = problemView(new ProblemError("not-yet-known", "The sentence.", null, "The title"), wordless, SERVER);
  assert.deepEqual([lasting.wait, lasting.actions], [null, []]);
  const failed = { ...ANSWER, status: "failed", problem: { code: "not-yet-known", title: "The title", detail: "The sentence." } };
  assert.equal(viewOf(failed, wordless, SERVER).heading, "The title");
});

test("a refusal names its next steps", () => {
  const steps = (name, detail = "") => problemView(new ProblemError(name, detail, 5), say, SERVER, "somechannel").actions.map((each) => each.name);
  assert.deepEqual(steps("login-required"), ["sign-in"]);
  assert.deepEqual(steps("subscription-required"), ["subscribe", "options"]);
  assert.deepEqual(steps("rate-limited"), ["retry"]);
  assert.deepEqual(steps("key-invalid"), ["options"]);
  assert.deepEqual(steps("moment-gone"), ["again"]);
  assert.deepEqual(steps("no-server"), ["welcome", "retry"]);
  assert.deepEqual(steps("blacklisted"), []);
  assert.equal(problemView(new ProblemError("rate-limited", "", 0.2), say, SERVER).wait, 2);
  // One time only: the button that counts down says it.
  for (const [name, wait, text] of [["busy", 5, ""], ["busy", null, "problem_busy_text(songs.example)"], ["timeout", 5, "problem_timeout_text(songs.example)"]]) {
    assert.equal(problemView(new ProblemError(name, "", wait), say, SERVER).text, text);
  }
  assert.equal(problemView(new ProblemError("blacklisted", "", 5), say, SERVER).wait, null);
  assert.equal(problemView(new Error("bug"), say, SERVER).code, "extension-failed");
  assert.ok(LOCAL_CODES.every((each) => steps(each).length > 0 || each === "offline"));
});

test("a cover is one of the server's own pictures, or drawn of landmarks that can be read", async () => {
  const url = (/** @type {number} */ edge) => `/api/v1/artwork/${"3f".repeat(16)}-${edge}.jpg`;
  const sizes = [640, 300, 120].map((width) => ({ url: url(width), width, height: width }));
  assert.equal(smallCover(sizes), url(120));
  assert.equal(smallCover([{ url: url(64), width: 64, height: 64 }]), url(64));
  for (const wrong of [null, [], "x", [null], [{ url: "https://evil.example/a.jpg", width: 300 }], [{ url: "/api/v1/me", width: 300 }]]) {
    assert.equal(smallCover(wrong), "");
  }
  assert.deepEqual(pointsOf("AP8"), [[0, 1]]);
  for (const wrong of [null, undefined, "", "A", "AAAAA", "!!!", "<svg>", "A".repeat(172), {}]) assert.deepEqual(pointsOf(wrong), []);

  const of = (/** @type {() => Response} */ respond) => picture({ online: () => true, fetch: async () => respond() }, SERVER, url(120));
  const jpeg = (/** @type {Record<string, string>} */ more = {}) => ({ headers: { "Content-Type": "image/jpeg", "Content-Length": "3", ...more } });
  assert.equal(await of(() => new Response("abc", jpeg())), "data:image/jpeg;base64,YWJj");
  for (const wrong of [
    () => new Response("abc", jpeg({ "Content-Type": "image/svg+xml" })), () => new Response("abc", jpeg({ "Content-Length": "300000" })),
    () => new Response("abc", { ...jpeg(), status: 404 }), () => { throw new TypeError("gone"); },
  ]) assert.equal(await of(wrong), null);
});

test("links lead to the service or nowhere", () => {
  assert.equal(safeLink("spotify", "https://open.spotify.com/track/1"), "https://open.spotify.com/track/1");
  assert.equal(safeLink("youtube", "https://music.youtube.com/watch?v=1"), "https://music.youtube.com/watch?v=1");
  for (const bad of ["http://open.spotify.com/", "https://open.spotify.com.evil.example/", "javascript:alert(1)",
    "https://user@open.spotify.com/", "https://open.spotify.com:444/", "//open.spotify.com", "", null, 7]) {
    assert.equal(safeLink("spotify", bad), null, String(bad));
  }
});

const heard = (id, title, at = "2026-01-01T00:00:00Z") => ({ id, title, artists: "A", album: "", links: [], kind: "stream", target: "c", heard_at: at });

test("the list of songs holds each play once, and is bounded", () => {
  const list = added(added([], heard("1", "T")), heard("1", "T"));
  assert.equal(list.length, 1);
  assert.deepEqual(added(list, heard("2", "T", "2026-01-01T00:10:00Z")).map((each) => each.id), ["2"]);
  assert.equal(added(list, heard("3", "T", "2026-01-01T01:00:00Z")).length, 2);
  let many = [];
  for (let index = 0; index < MAX_ENTRIES + 5; index++) many = added(many, heard(`${index}`, `T${index}`));
  assert.equal(many.length, MAX_ENTRIES);
  assert.equal(many[0].id, `${MAX_ENTRIES + 4}`);
  assert.equal(matching(many, "t7 a c").every((each) => /T7/.test(each.title)), true);
});

test("exports are quoted, and no cell is a formula", () => {
  const text = csv([heard("1", '=HYPERLINK("x")'), heard("2", 'a, "b"\nc')]);
  assert.ok(text.includes('"\'=HYPERLINK(""x"")"'));
  assert.ok(text.includes('"a, ""b""\nc"'));
  assert.deepEqual(JSON.parse(json([heard("1", "T")]))[0].title, "T");
});

test("messages are answered only from where, and only if, they may come", () => {
  const self = { id: "me", root: "chrome-extension://me/" };
  const page = { id: "me", url: "https://www.twitch.tv/x" };
  const own = { id: "me", url: "chrome-extension://me/options/options.html" };
  assert.ok(accepted({ name: "ask", question: { channel: "x" } }, page, self));
  assert.equal(accepted({ name: "set-server", server: "https://evil.example" }, page, self), null);
  assert.ok(accepted({ name: "set-server", server: "https://a.example" }, own, self));
  assert.ok(accepted({ name: "ask", question: { channel: "x", ago: 300 } }, page, self));
  assert.equal(accepted({ name: "ask", question: { channel: "x", ago: -1 } }, page, self), null);
  assert.ok(accepted({ name: "ask", question: { channel: "x" }, fresh: true, chosen: true }, page, self));
  assert.equal(accepted({ name: "ask", question: { channel: "x" }, fresh: "yes" }, page, self), null);
  assert.ok(accepted({ name: "poll", id: "x", ago: 30 }, page, self));
  assert.equal(accepted({ name: "poll", id: "x", ago: "30" }, page, self), null);
  assert.ok(accepted({ name: "picture", path: `/api/v1/artwork/${"0".repeat(32)}-120.jpg` }, page, self));
  for (const path of ["/api/v1/me", "//evil.example/a.jpg", `/api/v1/artwork/${"0".repeat(32)}-120.jpg/../me`, 1]) {
    assert.equal(accepted({ name: "picture", path }, page, self), null);
  }
  for (const [message, sender] of [
    [{ name: "ask", question: { channel: "x", clip: "y" } }, page], [{ name: "ask", question: { channel: 7 } }, page],
    [{ name: "poll", id: "../admin" }, page], [{ name: "constructor" }, own], [null, own], ["ask", own], [{ name: "stored", slug: "a/b" }, page],
    [{ name: "settings" }, { id: "other", url: "https://www.twitch.tv/" }], [{ name: "settings" }, { id: "me" }],
    [{ name: "settings" }, { id: "me", url: "https://www.twitch.tv.evil.example/" }],
  ]) assert.equal(accepted(message, sender, self), null, JSON.stringify(message));
});

test("only Twitch's answer to our own question gives a token", () => {
  const redirect = "https://abc.chromiumapp.org/twitch";
  const token = "a".repeat(30);
  assert.equal(tokenFrom(`${redirect}#access_token=${token}&state=s&token_type=bearer`, "s", redirect), token);
  assert.throws(() => tokenFrom(`${redirect}#access_token=${token}&state=other`, "s", redirect), code("sign-in-failed"));
  assert.throws(() => tokenFrom(`https://evil.example/#access_token=${token}&state=s`, "s", redirect), code("sign-in-failed"));
  assert.throws(() => tokenFrom(`${redirect}?error=access_denied&state=s`, "s", redirect), code("sign-in-cancelled"));
  assert.throws(() => tokenFrom(`${redirect}#state=s`, "s", redirect), code("sign-in-failed"));
  const asked = new URL(authorizeAddress("id", ["user:read:subscriptions"], "s", redirect));
  assert.equal(asked.origin, "https://id.twitch.tv");
  assert.deepEqual(["response_type", "scope", "state"].map((name) => asked.searchParams.get(name)), ["token", "user:read:subscriptions", "s"]);
});

/** The browser's storage with doors that can be shut. */
function shutBrowser({ local = true, session = true } = {}) {
  const area = (open) => {
    const kept = new Map();
    const refused = () => Promise.reject(new Error("refused"));
    return {
      kept,
      get: async (keys) => (open ? Object.fromEntries(typeof keys === "string" ? [[keys, kept.get(keys)]]
        : Object.entries(keys).map(([key, otherwise]) => [key, kept.has(key) ? kept.get(key) : otherwise])) : refused()),
      set: async (values) => (open ? Object.entries(values).forEach(([key, value]) => kept.set(key, value)) : refused()),
      remove: async (key) => (open ? void kept.delete(key) : refused()),
      clear: async () => (open ? kept.clear() : refused()),
    };
  };
  globalThis.browser = { storage: { local: area(local), session: area(session) } };
  globalThis.indexedDB = { open() { throw new DOMException("refused", "InvalidStateError"); } };
  return globalThis.browser.storage;
}

test("a browser that refuses its storage is lived with, and is not called the server's fault", async () => {
  const storage = await import("../../../extension/lib/storage.js");
  const { session } = shutBrowser({ local: false });
  assert.deepEqual([(await storage.settings()).button, await storage.history()], [true, []]);
  await storage.changeHistory((list) => list);
  await storage.rememberReached(SERVER);
  await assert.rejects(storage.saveSettings({ lookup: false }), code("storage-refused"));
  assert.equal(await storage.secrets.get(SERVER), undefined);
  await storage.secrets.set(SERVER, { kind: "key", key: "k" });
  assert.deepEqual(await storage.secrets.get(SERVER), { kind: "key", key: "k" });
  assert.equal(session.kept.size, 1);
  await storage.secrets.remove(SERVER);
  assert.equal(await storage.secrets.get(SERVER), undefined);
  await storage.eraseAll();
  shutBrowser({ local: false, session: false });
  await assert.rejects(storage.secrets.set(SERVER, { kind: "key", key: "k" }), code("storage-refused"));
  assert.equal(await storage.secrets.get(SERVER), undefined);
});

test("the server's own English is apart from the translated sentence", () => {
  const view = problemView(new ProblemError("subscription-required", "For subscribers of neonharbour."), say, SERVER);
  assert.deepEqual([view.text, view.detail], ["problem_subscription_required_text(songs.example)", "For subscribers of neonharbour."]);
  assert.equal(problemView(new ProblemError("busy", "Later."), say, SERVER).detail, "");
});

test("whatever a server's answer holds in a field, a view of plain texts comes of it, or the sentence for such servers", () => {
  const song = {
    title: "T", artists: ["A"], album: "B", label: "L", duration: 200, offset: 5, position: 3, speed: 1.1, pitch: 1,
    links: { spotify: "https://open.spotify.com/track/1" },
  };
  const answer = {
    id: "x", kind: "clip", target: "c", status: "successful", stage: "done", created_at: "2026-01-01T00:00:00Z",
    finished_at: null, captured_at: "2026-01-01T00:00:00Z", captured_from: 3, captured_seconds: 6, at: 60,
    moment: { behind_live: 30 }, score: 0.9, song, songs: [song, { ...song, title: "U" }], problem: null,
  };
  const refused = { ...answer, status: "failed", song: null, songs: [], problem: { code: "busy", title: "t", detail: "d", retry_after_seconds: 4 } };
  const odd = [null, undefined, 0, -1, 1e300, "", "x", true, [], {}, [null], ["a", null], [[]], { toString: 5 }, [{ title: null }]];
  function* paths(value, at = []) {
    for (const key of Object.keys(value)) {
      yield [...at, key];
      if (value[key] && typeof value[key] === "object") yield* paths(value[key], [...at, key]);
    }
  }
  for (const kind of ["clip", "stream", "video"]) {
    for (const whole of [answer, refused, { ...answer, status: "running" }, { ...answer, status: "no_match", song: null }]) {
      for (const path of paths(whole)) {
        for (const value of odd) {
          const changed = structuredClone({ ...whole, kind });
          path.slice(0, -1).reduce((within, key) => within[key], changed)[path.at(-1)] = value;
          const about = `${kind} ${whole.status} ${path.join(".")} ${JSON.stringify(value)}`;
          let view;
          try {
            view = viewOf(identification(JSON.parse(JSON.stringify(changed))), say, SERVER, null, 30);
          } catch (error) {
            assert.equal(error.code, "server-too-old", `${about}: ${error}`);
            continue;
          }
          const { title, artists, album } = view.song ?? {};
          for (const said of [view.heading, view.text, view.detail, view.note, view.heard_at, view.code, title, artists, album]) {
            assert.ok(said === undefined || typeof said === "string", `${about}: ${said}`);
            assert.doesNotMatch(said ?? "", /\[object|undefined|NaN|null/, about);
          }
          assert.ok(view.wait === undefined || view.wait === null || (view.wait > 0 && view.wait <= 3600), about);
        }
      }
    }
  }
});

test("each refusal of the server is explained in its own words", () => {
  const english = JSON.parse(readFileSync(new URL("../../../extension/_locales/en/messages.json", import.meta.url), "utf8"));
  const words = (key, values = []) => (english[key]?.message ?? "").replace(/\$(\d)/g, (_, number) => values[number - 1] ?? "");
  const codes = Object.keys(english).flatMap((key) => /^problem_(.+)_heading$/.exec(key)?.[1] ?? []);
  assert.ok(codes.length > 45, codes.join());
  for (const code of codes) {
    const view = problemView(new ProblemError(code.replaceAll("_", "-"), "The server's own words."), words, SERVER);
    assert.equal(view.heading, words(`problem_${code}_heading`, ["songs.example"]));
    assert.equal(view.text, words(`problem_${code}_text`, ["songs.example"]));
    assert.ok(view.heading && view.text, code);
  }
});
