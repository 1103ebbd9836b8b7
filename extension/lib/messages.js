/** Checks messages: their names, their senders and their contents. A message that fails a check gets no reply. */

import { isPicture } from "./answer.js";

const SLUG = /^[A-Za-z0-9_-]{1,128}$/;
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** @param {unknown} value @param {number} most */
const text = (value, most) => typeof value === "string" && value.length <= most;

/** Whether a value is true, false, or left out. @param {unknown} value */
const isFlag = (value) => value === undefined || typeof value === "boolean";

/** Whether a value is a number of seconds. @param {unknown} value */
const isAgo = (value) => typeof value === "number" && Number.isFinite(value) && value >= 0;

/** @param {any} value */
function isQuestion(value) {
  if (value === null || typeof value !== "object") return false;
  switch (Object.keys(value).sort().join()) {
    case "channel": return text(value.channel, 25);
    case "ago,channel": return text(value.channel, 25) && isAgo(value.ago);
    case "clip": return text(value.clip, 128);
    case "at,video": return text(value.video, 20) && Number.isFinite(value.at) && value.at >= 0;
    case "url": return text(value.url, 2000);
    default: return false;
  }
}

/** @type {Record<MessageName, (message: any) => boolean>} */
const SHAPES = {
  "ask": ({ question, fresh, chosen }) => isQuestion(question) && [fresh, chosen].every(isFlag),
  "poll": ({ id, ago }) => text(id, 64) && ID.test(id) && (ago === undefined || isAgo(ago)),
  "stored": ({ slug }) => text(slug, 128) && SLUG.test(slug),
  "report": ({ id, reason, note }) => text(id, 64) && ID.test(id) && ["wrong-song", "other"].includes(reason) && text(note, 500),
  "picture": ({ path }) => isPicture(path),
  "settings": () => true,
  "open-options": () => true,
  "open-welcome": () => true,
  "sign-in": () => true,
  "sign-out": () => true,
  "device-start": () => true,
  "device-poll": ({ device }) => text(device, 200),
  "overview": () => true,
  "set-server": ({ server }) => text(server, 500),
  "set-key": ({ key }) => text(key, 300),
  "redeem": ({ code }) => text(code, 200),
  "set-settings": ({ button, lookup, privateSignIn }) => [button, lookup, privateSignIn].every(isFlag),
  "history": () => true,
  "clear-history": () => true,
  "erase": () => true,
};

/** What a content script, which runs beside a page's own scripts, may ask for. */
const FROM_PAGES = new Set(["ask", "poll", "stored", "report", "picture", "settings", "open-options", "open-welcome", "sign-in"]);
const PAGES = new Set(["https://www.twitch.tv", "https://clips.twitch.tv", "https://player.twitch.tv"]);

/**
 * The message, if it is one and its sender may send it; else null.
 * @param {unknown} message
 * @param {{ id?: string | undefined, url?: string | undefined }} sender
 * @param {{ id: string, root: string }} self the extension's id, and the address that its pages begin with
 * @returns {Message | null}
 */
export function accepted(message, sender, self) {
  if (message === null || typeof message !== "object" || sender.id !== self.id || !sender.url) return null;
  const name = /** @type {{ name?: unknown }} */ (message).name;
  if (typeof name !== "string" || !Object.hasOwn(SHAPES, name)) return null;
  const known = /** @type {MessageName} */ (name);
  const ours = sender.url.startsWith(self.root);
  const page = URL.canParse(sender.url) && PAGES.has(new URL(sender.url).origin) && FROM_PAGES.has(name);
  return (ours || page) && SHAPES[known](message) ? /** @type {Message} */ (message) : null;
}
