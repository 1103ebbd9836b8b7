/** Problems by code: the server's codes, and those below, which only a client can know. */

/** @typedef {"offline" | "server-unreachable" | "server-away" | "server-redirects" | "gateway-error" | "refused-on-the-way" |
 *   "storage-refused" | "private-window" | "extension-failed" | "connection-not-secure" | "not-a-server" | "server-too-old" |
 *   "server-slow" | "permission-missing" | "address-invalid" | "sign-in-off" | "sign-in-failed" |
 *   "sign-in-cancelled" | "extension-updated" | "extension-silent" | "job-slow" | "no-server"} LocalCode */

/** @type {readonly LocalCode[]} */
export const LOCAL_CODES = [
  "offline", "server-unreachable", "server-away", "server-redirects", "gateway-error", "refused-on-the-way",
  "storage-refused", "private-window", "extension-failed", "connection-not-secure", "not-a-server", "server-too-old", "server-slow",
  "permission-missing", "address-invalid", "sign-in-off", "sign-in-failed", "sign-in-cancelled", "extension-updated",
  "extension-silent", "job-slow", "no-server",
];

export class ProblemError extends Error {
  /**
   * @param {string} code of the server, or a LocalCode
   * @param {string} [detail] the server's sentence for the user
   * @param {number | null} [wait] seconds after which a retry makes sense
   * @param {string} [title] the server's heading, for a code that we have no words for
   * @param {{ key: string, values?: string[] } | null} [words] the sentence, where the code's own says too little
   */
  constructor(code, detail = "", wait = null, title = "", words = null) {
    super(code);
    this.code = code;
    this.detail = detail;
    this.wait = wait;
    this.title = title;
    this.words = words;
  }
}
