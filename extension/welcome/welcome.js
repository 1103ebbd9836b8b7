/** The page that opens when the extension is installed: try it, choose a server, and where things are. */

import { LOCAL_SERVER } from "../lib/address.js";
import { OPERATOR } from "../lib/operator.js";
import { byId, fillWords, say, send, showMessage, showShortcut, showVersion } from "../ui/common.js";
import { connectServerForm, useServer } from "../ui/server_form.js";
import { connectDemo } from "./demo.js";

/** Shows what is to do next, when the server that is saved answers. */
async function showReady() {
  const { server, problem, refusal, signIn, account } = await send("overview", {});
  byId("ready", HTMLElement).hidden = problem !== null;
  byId("ready-text", HTMLElement).textContent = `${say("welcome_ready_text", [new URL(server).host])} ${refusal}`.trim();
  byId("sign-in", HTMLElement).hidden = !(signIn && refusal !== "" && account.kind === "none");
}

byId("own", HTMLButtonElement).addEventListener("click", async () => {
  await useServer(LOCAL_SERVER, byId("own-busy", HTMLElement), byId("own-says", HTMLElement));
  await showReady();
});

byId("sign-in", HTMLButtonElement).addEventListener("click", async () => {
  showMessage(byId("sign-in-says", HTMLElement), await send("sign-in", {}));
  await showReady();
});

fillWords();
showVersion();
connectDemo();
connectServerForm(showReady);
if (OPERATOR) {
  byId("operator", HTMLElement).textContent = say("welcome_operator", [OPERATOR.name, new URL(OPERATOR.server).host]);
  byId("operator", HTMLElement).hidden = false;
  byId("choice-text", HTMLElement).hidden = byId("choices", HTMLElement).hidden = true;
}
await Promise.all([showReady(), showShortcut()]);
document.documentElement.dataset["ready"] = "";
