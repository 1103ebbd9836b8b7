/** Prints what content/site.js takes each address of standard input for: one JSON object a line. */
import { readFileSync } from "node:fs";
import vm from "node:vm";

const document = { querySelectorAll: () => [], querySelector: () => null };
const context = vm.createContext({ document, URL, URLSearchParams });
for (const script of ["lib/targets.js", "content/site.js"]) {
  vm.runInContext(readFileSync(new URL(`../../../extension/${script}`, import.meta.url), "utf8"), context);
}
for (const address of JSON.parse(readFileSync(0, "utf8"))) {
  const target = context.twitchaudio.site.target(new URL(address));
  console.log(JSON.stringify(target && target.question()));
}
