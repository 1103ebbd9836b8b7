/** How the panel looks: Twitch's own colors, measures and type, in its dark and its light look. */
"use strict";

twitchaudio.panelStyle = `
:host {
  all: initial;
  position: absolute;
  z-index: 3000;
  top: clamp(10px, 10%, 50px);
  right: 10px;
  width: min(340px, calc(100% - 20px));
  max-height: calc(100% - 190px); /* below are captions, two lines of them, and the control bar */
  display: flex;
  pointer-events: none;
  --background: #18181b;
  --edge: #2f2f35;
  --text: #efeff1;
  --muted: #adadb8;
  --accent: #bf94ff;
  --fill: #9147ff;
  --fill-hover: #772ce8;
  --soft: rgb(83 83 95 / 38%);
  --soft-hover: rgb(83 83 95 / 55%);
  --field: #0e0e10;
  --field-edge: #7a7a85;
  --ring: #bf94ff;
  color-scheme: dark;
  font: 400 13px/1.5 Inter, Roobert, "Helvetica Neue", Helvetica, Arial, sans-serif;
  color: var(--text);
  text-align: start;
}
:host([data-theme="light"]) {
  --background: #ffffff;
  --edge: #e6e6ea;
  --text: #0e0e10;
  --muted: #53535f;
  --accent: #5c16c5;
  --fill: #9147ff;
  --fill-hover: #772ce8;
  --soft: rgb(83 83 95 / 15%);
  --soft-hover: rgb(83 83 95 / 25%);
  --field: #ffffff;
  --field-edge: #7a7a85;
  --ring: #772ce8;
  color-scheme: light;
}
:host([data-fixed]) { position: fixed; top: auto; right: auto; bottom: 10px; left: 10px; max-height: calc(100vh - 80px); }
:host([data-area]) {
  top: calc(var(--area-top) + 6px); bottom: auto; left: calc(var(--area-left) + 6px);
  width: min(340px, calc(var(--area-width) - 12px)); max-height: calc(var(--area-height) - 12px);
}
:host([data-state="idle"]) { width: 0; }

*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
svg { display: block; width: 16px; height: 16px; flex: none; }

.box {
  flex: 1;
  min-width: 0;
  display: flex;
  flex-direction: column;
  pointer-events: auto;
  overflow: hidden;
  background: var(--background);
  border: 1px solid var(--edge);
  border-radius: 6px;
  box-shadow: 0 6px 16px rgb(0 0 0 / 50%), 0 0 4px rgb(0 0 0 / 40%);
  overflow-wrap: anywhere;
  outline: none;
}
header { display: flex; align-items: center; gap: 8px; padding-block: 6px 0; padding-inline: 14px 6px; }
.about { flex: 1; min-width: 0; margin: 0; color: var(--muted); font-size: 12px; font-weight: 600;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.body { padding: 2px 14px 12px; overflow-y: auto; min-height: 0; scrollbar-width: thin; scrollbar-color: var(--field-edge) transparent; }
h2 { margin: 0; font-size: 16px; font-weight: 600; line-height: 1.25; }
[dir="auto"] { text-align: -webkit-match-parent; text-align: match-parent; }
.song { display: flex; gap: 12px; align-items: center; }
.song > div:last-child { flex: 1; min-width: 0; }
.cover { flex: none; width: 56px; height: 56px; border-radius: 4px; overflow: hidden; background: var(--field); border: 1px solid var(--edge); }
.cover svg, .cover img { display: block; width: 100%; height: 100%; object-fit: cover; fill: var(--accent); }
.title { font-size: 18px; }
.artists { margin: 2px 0 0; font-size: 14px; }
.probably { margin: 0; color: var(--muted); }
.album { margin: 0; color: var(--muted); }
.text { margin: 6px 0 0; }
.detail { color: var(--muted); font-size: 12px; }

button, a { font: inherit; color: inherit; }
button { background: none; border: 0; padding: 0; cursor: pointer; }
a { text-decoration: none; }
:focus-visible { outline: 2px solid var(--ring); outline-offset: 1px; }
.close { display: inline-flex; align-items: center; justify-content: center; width: 30px; height: 30px; border-radius: 4px; }
.close:hover, .text-button:hover { background: var(--soft); }

.primary, .secondary, .link {
  display: inline-flex; align-items: center; justify-content: center; gap: 6px;
  min-height: 30px; padding: 0 10px; border-radius: 4px; font-weight: 600; white-space: nowrap;
}
.primary { background: var(--fill); color: #fff; }
.primary:hover { background: var(--fill-hover); }
.secondary, .link { background: var(--soft); }
.secondary:hover, .link:hover { background: var(--soft-hover); }
button:disabled { cursor: default; background: var(--soft); color: var(--muted); }
.actions, .links { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 12px; }
.actions:empty { display: none; }
.links { gap: 6px; }
.link { flex: 1 1 40%; padding: 0 8px; }
.link svg { width: 13px; height: 13px; color: var(--muted); }

.position { display: flex; align-items: center; gap: 8px; margin-top: 8px; color: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }
.position span { white-space: nowrap; }
.track { flex: 1; height: 4px; border-radius: 2px; background: var(--soft); overflow: hidden; }
.track i { display: block; height: 100%; background: var(--accent); }

.earlier { display: flex; flex-wrap: wrap; align-items: center; gap: 2px; margin-top: 8px; color: var(--muted); font-size: 12px; }

.foot { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 4px; margin: 10px -6px -4px; }
.foot .text-button { gap: 5px; font-size: 12px; }
.elapsed { color: var(--muted); padding-inline: 6px; font-variant-numeric: tabular-nums; }
.text-button { display: inline-flex; align-items: center; gap: 6px; min-height: 28px; padding: 0 6px; border-radius: 4px; color: var(--accent); font-weight: 600; }

.beam { position: relative; height: 4px; margin: 8px 0 10px; border-radius: 2px; overflow: hidden; background: var(--soft); }
.beam i { position: absolute; inset-block: 0; width: 40%; border-radius: 2px; background: var(--accent); animation: pass 1.2s ease-in-out infinite; }
@keyframes pass { from { left: -40%; } to { left: 100%; } }
.steps { list-style: none; margin: 0; padding: 0; display: grid; gap: 2px; color: var(--muted); }
.steps li { display: flex; align-items: center; gap: 8px; }
.steps li::before { content: ""; width: 8px; height: 8px; border-radius: 50%; border: 2px solid var(--muted); flex: none; }
.steps li[aria-current] { color: var(--text); font-weight: 600; }
.steps li[aria-current]::before { border-color: var(--accent); }
.steps li[data-past]::before { border-color: var(--accent); background: var(--accent); }

.others { margin-top: 12px; border-top: 1px solid var(--edge); padding-top: 8px; }
h3 { margin: 0; font-size: 12px; font-weight: 600; color: var(--muted); }
.others ol { list-style: none; margin: 4px 0 0; padding: 0; }
.others li { display: flex; gap: 8px; }
.at { color: var(--muted); font-variant-numeric: tabular-nums; }

.report { margin-top: 12px; border-top: 1px solid var(--edge); padding-top: 8px; }
.report label { display: block; font-weight: 600; margin-bottom: 4px; }
.report input { width: 100%; height: 30px; padding: 0 8px; font: inherit; color: inherit; background: var(--field);
  border: 1px solid var(--field-edge); border-radius: 4px; }
.report input::placeholder { color: var(--muted); opacity: 1; }
.report .primary { margin-inline-end: 6px; }

@media (prefers-reduced-motion: reduce) { .beam i { animation: none; left: 30%; } }
@media (forced-colors: active) {
  .primary, .secondary, .link { border: 1px solid ButtonText; }
  .text-button { text-decoration: underline; }
  .track, .beam { outline: 1px solid CanvasText; }
  .track i, .beam i { background: Highlight; forced-color-adjust: none; }
}
`;
