/**
 * The words of the page's script. They are read when it starts: after an update of the extension the browser refuses
 * them to the copy that an open page still has, which must then be able to say so.
 */
"use strict";

globalThis.twitchaudio = /** @type {TwitchAudioContent} */ (globalThis.twitchaudio ?? {});

twitchaudio.say = (() => {
  const KEYS = (
    "action_again action_reload ago_ask ago_label ago_minutes ago_seconds " +
    "action_retry action_retry_in button_label direction language link_open link_search panel_about_channel panel_about_clip " +
    "panel_about_video panel_blocked panel_cancel panel_close panel_copied panel_copy panel_copy_failed panel_elapsed " +
    "panel_listening_channel panel_listening_clip panel_listening_video panel_others panel_position " +
    "problem_extension_silent_heading problem_extension_silent_text problem_extension_updated_heading " +
    "problem_extension_updated_text problem_job_slow_heading problem_job_slow_text report_ask report_done report_note " +
    "report_note_hint report_send spoken_found spoken_probably stage_compare stage_find stage_listen"
  ).split(" ");
  const SLOTS = ["$1", "$2", "$3"];
  const words = new Map(KEYS.map((key) => [key, browser.i18n.getMessage(key, SLOTS)]));

  /** @param {string} key @param {string[]} [values] */
  return (key, values = []) => (words.get(key) ?? "").replace(/\$([1-3])/g, (_, slot) => values[slot - 1] ?? "");
})();
