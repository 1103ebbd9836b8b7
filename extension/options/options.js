/** The options: server, account, the page, and what is stored. */

import { redirectAddress } from "../lib/sign_in.js";
import { byId, fillWords, say, send, showMessage, showShortcut, showVersion } from "../ui/common.js";
import { connectServerForm } from "../ui/server_form.js";

const server = byId("server", HTMLInputElement);
const accountSays = byId("account-says", HTMLElement);

/** @param {boolean} [quiet] whether the reason of a refusal is shown already, which another must not replace */
async function showAccount(quiet = false) {
  const { account, signIn, problem, refusal } = await send("overview", {});
  const known = account.kind === "none" ? "account_none" : account.kind === "key" ? "account_key" : "account_twitch";
  byId("account", HTMLElement).textContent = say(known, [account.login ?? ""]);
  byId("refusal", HTMLElement).textContent = refusal;
  byId("refusal", HTMLElement).hidden = refusal === "";
  const signedIn = account.kind !== "none";
  byId("sign-in-row", HTMLElement).hidden = signedIn || !signIn;
  byId("no-sign-in", HTMLElement).hidden = signedIn || signIn || problem !== null;
  byId("sign-out", HTMLElement).hidden = !signedIn;
  byId("code-form", HTMLElement).hidden = account.kind !== "twitch";
  if (problem && !quiet) showMessage(byId("server-says", HTMLElement), problem);
}

/**
 * A form with one field, whose content goes into one message.
 * @param {string} name
 * @param {(value: string) => Promise<ProblemView | null>} act
 */
function form(name, act) {
  const field = byId(name, HTMLInputElement);
  const says = byId(`${name}-says`, HTMLElement);
  byId(`${name}-form`, HTMLFormElement).addEventListener("submit", async (event) => {
    event.preventDefault();
    showMessage(says, null);
    const problem = await act(field.value);
    if (!problem) field.value = "";
    showMessage(says, problem ?? say(`options_${name}_done`));
    await showAccount(problem !== null);
  });
}

connectServerForm((origin) => showAccount(origin === null));
form("key", (key) => send("set-key", { key }));
form("code", (code) => send("redeem", { code }));

byId("sign-in", HTMLButtonElement).addEventListener("click", async () => {
  showMessage(accountSays, null);
  showMessage(accountSays, await send("sign-in", {}));
  await showAccount();
});

let polling = 0;
byId("device", HTMLButtonElement).addEventListener("click", async () => {
  showMessage(accountSays, null);
  const started = await send("device-start", {});
  if ("state" in started) {
    showMessage(accountSays, started);
    return;
  }
  byId("device-code", HTMLElement).textContent = started.code;
  byId("device-link", HTMLAnchorElement).href = started.address;
  byId("device-box", HTMLElement).hidden = false;
  clearInterval(polling);
  polling = window.setInterval(async () => {
    const reply = await send("device-poll", { device: started.device });
    if (reply === "pending") return;
    clearInterval(polling);
    byId("device-box", HTMLElement).hidden = true;
    showMessage(accountSays, reply === "done" ? null : reply);
    await showAccount();
  }, started.interval * 1000);
});

byId("sign-out", HTMLButtonElement).addEventListener("click", async () => {
  await send("sign-out", {});
  showMessage(accountSays, say("options_signed_out"));
  await showAccount();
});

for (const name of /** @type {const} */ (["button", "lookup", "privateSignIn"])) {
  byId(name, HTMLInputElement).addEventListener("change", async ({ target }) => {
    const box = /** @type {HTMLInputElement} */ (target);
    const problem = await send("set-settings", { [name]: box.checked });
    if (problem) box.checked = !box.checked;
    showMessage(byId("page-says", HTMLElement), problem);
  });
}

byId("erase", HTMLButtonElement).addEventListener("click", async () => {
  await send("erase", {});
  await showSettings();
  await showAccount();
  showMessage(byId("erase-says", HTMLElement), say("options_erased"));
});

async function showSettings() {
  const settings = await send("settings", {});
  server.value = settings.server;
  byId("button", HTMLInputElement).checked = settings.button;
  byId("lookup", HTMLInputElement).checked = settings.lookup;
  byId("privateSignIn", HTMLInputElement).checked = settings.privateSignIn;
}

fillWords();
showVersion();
byId("redirect", HTMLElement).textContent = redirectAddress();
await Promise.all([showSettings(), showShortcut(), showAccount()]);
document.documentElement.dataset["ready"] = "";
