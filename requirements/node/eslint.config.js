/** Lints the extension and the website. Rules of taste are left to reviewers; these find mistakes and unsafe code. */
import js from "@eslint/js";
import globals from "globals";

const RULES = {
  ...js.configs.recommended.rules,
  "eqeqeq": "error",
  "no-console": "error",
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-new-func": "error",
  "no-script-url": "error",
  "no-shadow": "error",
  "no-unused-vars": ["error", { "argsIgnorePattern": "^_" }],
  "no-var": "error",
  "prefer-const": "error",
  "no-restricted-syntax": ["error", {
    "selector": "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|setHTMLUnsafe)$/]",
    "message": "Titles come from strangers: make elements and text nodes.",
  }],
  "no-restricted-globals": ["error", "chrome", "localStorage", "sessionStorage"],
};
/** Scripts of lib/ that content scripts use, too, and which are no modules therefore. */
const CLASSIC = ["targets", "states", "asking"].map((name) => `extension/lib/${name}.js`);
const BROWSER = { ...globals.browser, browser: "readonly" };

export default [
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["extension/**/*.js"],
    ignores: ["extension/content/**", ...CLASSIC],
    languageOptions: { ecmaVersion: 2025, sourceType: "module", globals: { ...BROWSER, twitchaudio: "readonly" } },
    rules: RULES,
  },
  {
    files: ["extension/content/**/*.js", ...CLASSIC],
    languageOptions: { ecmaVersion: 2025, sourceType: "script", globals: { ...BROWSER, twitchaudio: "writable" } },
    rules: RULES,
  },
  {
    files: ["server/web/static/js/**/*.js"],
    languageOptions: { ecmaVersion: 2025, sourceType: "module", globals: globals.browser },
    rules: RULES,
  },
  {
    // The visitor's own finds stay in their browser.
    files: ["server/web/static/js/finds_store.js"],
    rules: { "no-restricted-globals": ["error", "chrome", "sessionStorage"] },
  },
];
