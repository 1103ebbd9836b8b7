/** Shapes that several files share: the server's answers, messages, and what is shown. Checked by tsc, never loaded. */

/** What can be asked for; exactly one of the server's forms. */
type Question = { channel: string; ago?: number } | { clip: string } | { video: string; at: number } | { url: string };

interface SongOfServer {
  id?: string;
  title: string;
  artists: string[];
  /** Whether its channel's owner has corrected it; servers of before do not say. */
  corrected?: boolean;
  album: string | null;
  label?: string | null;
  artwork?: { url: string; width: number; height: number }[] | null;
  preview?: string | null;
  /** Points of the sound, base64url; and the path of a picture that is drawn of the song's. */
  landmarks?: string | null;
  drawing?: string;
  catalog?: { track_id: string } | null;
  duration: number | null;
  offset: number | null;
  position?: number | null;
  speed?: number | null;
  pitch?: number | null;
  links: Partial<Record<Service, string | null>>;
}

interface ProblemOfServer {
  code: string;
  title: string;
  detail: string;
  retry_after_seconds?: number | null;
}

interface Identification {
  id: string;
  kind: "stream" | "clip" | "video" | "file";
  target: string;
  at?: number | null;
  /** The earlier time of a live channel that was asked for. */
  asked_at?: string | null;
  asked_ago?: number | null;
  status: "queued" | "running" | "successful" | "no_match" | "failed";
  stage: string;
  created_at: string;
  finished_at: string | null;
  song: SongOfServer | null;
  songs: SongOfServer[];
  score?: number | null;
  captured_seconds?: number | null;
  captured_at?: string | null;
  captured_from?: number | null;
  place_uncertain?: boolean;
  /** Of a live stream: which moment the sound is from. */
  moment?: { broadcast: string | null; seconds: number | null; behind_live: number | null } | null;
  /** Milliseconds by stage. */
  timings?: Record<string, number | null>;
  problem: ProblemOfServer | null;
}

interface ServerStatus {
  version: string | null;
  access_mode: "open" | "login" | "subscribers";
  motd: string | null;
  twitch_client_id: string | null;
  twitch_scopes?: string[];
}

interface MeOfServer {
  login: string | null;
  known_by: string;
  streams: { allowed: boolean; code: string | null; detail: string | null };
  clips: { allowed: boolean; code: string | null; detail: string | null };
}

/** What the viewer may do next about a problem. */
type ActionName = "retry" | "again" | "ago" | "reload" | "sign-in" | "options" | "welcome" | "subscribe" | "open-server";
interface Action {
  name: ActionName;
  label: string;
  /** Of "ago": how many seconds ago. */
  ago?: number;
  /** For actions that are links. */
  href?: string;
}

type Service = keyof (typeof import("./lib/answer.js"))["HOSTS"];

interface SongLink {
  service: Service;
  /** What the service calls itself. */
  name: string;
  href: string;
  /** Whether it leads to the song itself, or to a search for it. */
  exact: boolean;
}

/** A song as it is shown (lib/answer.js). Empty texts are not shown. */
interface SongView {
  title: string;
  artists: string;
  album: string;
  label: string;
  /** The path of its cover on the server; empty without one. */
  cover: string;
  /** What a cover is drawn of without one: when and how high its landmarks are, 0 to 1. */
  points: [number, number][];
  links: Partial<Record<Service, string>>;
  /** Where in the song the captured sound begins, as a clock shows it; empty when unknown. */
  moment: string;
  /** The song's length; empty when it or the moment is unknown. */
  length: string;
  /** The moment in percent of the length; null when one of them is unknown. */
  played: number | null;
  /** Where in the recording the song starts. */
  position: string;
}

/** An identification as it is shown, without words of any language (lib/answer.js). */
interface AnswerView {
  state: "working" | "found" | "none" | "failed";
  id: string;
  kind: Identification["kind"];
  target: string;
  live: boolean;
  stage: string;
  /** RFC 3339: when a live song was heard; empty for recordings. */
  heard_at: string;
  song: SongView | null;
  /** Other songs in the same clip or file. */
  others: SongView[];
  /** In percent, such as 93%; empty when unknown. */
  confidence: string;
  /** The song is to be shown as probable only. */
  probable: boolean;
  /** Of a video without sound at the moment asked for: that moment, and what was listened to, as clocks show it. */
  elsewhere: { asked: string; from: string; until: string } | null;
  /** The sound may be from a moment near the one that is told. */
  uncertain: boolean;
}

/** What the website says about a problem code (server/web/words.py). */
interface ProblemWords { heading: string; next_step: string }

/** An answer in the website's words: a value for each slot of its page. */
interface AnswerTexts {
  state: AnswerView["state"] | "idle";
  id: string; live: boolean; source: string; ask_again: string; set_list: string; song_page: string; stage: string;
  /** How near to live the sound is, until the answer is old; and whether that is live. */
  fresh: string; on_air: boolean;
  /** RFC 3339, of live channels; and what was then: `heard`, or `asked`. */
  heard_at: string; verb: string;
  /** In percent of the dial's width. */
  needle: number;
  /** Seconds: where in the song the sound was, and the song's length; null unless both are known. */
  offset: number | null; length: number | null;
  scale_end: string; moment: string; title: string; artists: string; probably: string; corrected: string; sure: string;
  /** The song's members that are texts, by name. */
  facts: Record<string, string>;
  /** Addresses on our own server: of the cover, or one that is drawn, and of a recording to play; empty without. */
  cover: string; preview: string;
  /** What the dial is drawn of. */
  landmarks: string;
  links: SongView["links"];
  /** Of the services without a link. */
  searches: SongView["links"];
  /** Where the target is on Twitch. */
  watch: string;
  also: (Pick<SongView, "position" | "title" | "artists"> & { page: string })[];
  note: string; took: string; heading: string; detail: string; next_step: string; code: string; retry_after_seconds: number;
}

/** A song as the extension shows it: a link or a search for each service. */
interface ShownSong extends Omit<SongView, "links"> { links: SongLink[] }

interface Working {
  state: "working"; id: string | null; stage: 0 | 1 | 2;
  /** Whether an earlier question of this viewer is waited for. */
  blocked: boolean;
  /** Seconds after which the server wants to be asked again. */
  wait: number | null;
}
interface Found {
  state: "found"; id: string; kind: Identification["kind"]; target: string; heard_at: string; song: ShownSong; others: ShownSong[];
  /** A sentence about the sound that was taken; empty when there is nothing to say. */
  note: string;
  /** The word before a song that is probable only; empty before others. */
  probably: string;
  /** Says that the channel's owner has corrected the song; empty for others. */
  corrected: string;
}
interface None { state: "none"; id: string; heading: string; text: string; actions: Action[] }
interface ProblemView {
  state: "error"; code: string; heading: string; text: string; actions: Action[];
  /** The server's own sentence, in English, where it says more; else empty. */
  detail: string;
  /** Seconds after which asking again makes sense. */
  wait: number | null;
  /** Whether it passes by itself. */
  passing: boolean;
  /** Whether the job itself has failed, not a request about it. */
  final: boolean;
}
/** What is shown: made by the background, drawn by the panel and the pop-up. */
type View = Working | Found | None | ProblemView;

/** Where the shown text comes from: `browser.i18n.getMessage`, or a table in tests. */
type Say = (key: string, substitutions?: string[]) => string;

interface Settings {
  /** The server's origin. */
  server: string;
  /** Whether the button is shown in the player. */
  button: boolean;
  /** Whether clip pages look their answer up by themselves. */
  lookup: boolean;
  /** Whether the sign-in is used in private windows, too. */
  privateSignIn: boolean;
}

interface HistoryEntry {
  id: string;
  title: string;
  artists: string;
  album: string;
  links: SongLink[];
  kind: string;
  target: string;
  /** RFC 3339, UTC. */
  heard_at: string;
}

type Secret =
  | { kind: "twitch"; token: string; clientId: string; login: string; scopes: string[]; refreshToken?: string }
  | { kind: "key"; key: string };

/** The account with which the extension asks the configured server. */
interface Account {
  kind: "none" | "twitch" | "key";
  login: string | null;
}

interface Overview {
  server: string;
  permitted: boolean;
  problem: ProblemView | null;
  motd: string;
  account: Account;
  /** Whether Twitch sign-in is possible on this server. */
  signIn: boolean;
  /** Why the caller may not ask for streams or clips; empty when they may. */
  refusal: string;
}

/** Every message: its payload, and the reply. */
interface Messages {
  "ask": { request: { question: Question } & AskingWay; reply: View };
  "poll": { request: { id: string; ago?: number }; reply: View };
  "stored": { request: { slug: string }; reply: View | null };
  "report": { request: { id: string; reason: "wrong-song" | "other"; note: string }; reply: ProblemView | null };
  "picture": { request: { path: string }; reply: string | null };
  "settings": { request: {}; reply: Settings };
  "open-options": { request: {}; reply: null };
  "open-welcome": { request: {}; reply: null };
  "sign-in": { request: {}; reply: ProblemView | null };
  "sign-out": { request: {}; reply: null };
  "device-start": { request: {}; reply: { code: string; address: string; device: string; interval: number } | ProblemView };
  "device-poll": { request: { device: string }; reply: "pending" | "done" | ProblemView };
  "overview": { request: {}; reply: Overview };
  "set-server": { request: { server: string }; reply: ProblemView | null };
  "set-key": { request: { key: string }; reply: ProblemView | null };
  "redeem": { request: { code: string }; reply: ProblemView | null };
  "set-settings": { request: Partial<Pick<Settings, "button" | "lookup" | "privateSignIn">>; reply: ProblemView | null };
  "history": { request: {}; reply: HistoryEntry[] };
  "clear-history": { request: {}; reply: null };
  "erase": { request: {}; reply: null };
}
type MessageName = keyof Messages;
type Message = { [Name in MessageName]: { name: Name } & Messages[Name]["request"] }[MessageName];

/** Messages to the content script of a tab. */
interface TabMessages {
  /** Starts a question, of what played `ago` seconds ago, or at the moment of the player; the answer is read with "page". */
  "identify": { request: { ago?: number }; reply: View | null };
  "page": { request: {}; reply: PageState };
  "settings-changed": { request: {}; reply: null };
}
type TabMessage = { [Name in keyof TabMessages]: { name: Name } & TabMessages[Name]["request"] }[keyof TabMessages];

interface PageState {
  /** What the page shows, in words; empty when it shows nothing that can be identified. */
  label: string;
  kind: "channel" | "clip" | "video" | null;
  view: View | null;
  /** Where the button is: in the player, floating, or nowhere. */
  button: "player" | "floating" | "none";
  /** What a developer needs to know when the button has not found its place; empty when it has. */
  report: string;
}

/** A target that was parsed (lib/targets.js). */
type ParsedTarget =
  | { kind: "channel"; login: string }
  | { kind: "clip"; slug: string }
  | { kind: "video"; id: string; at: number };

/** What a page shows. */
interface Target {
  kind: ParsedTarget["kind"];
  /** What is asked for, at the moment of the call. */
  question(): Question | Promise<Question>;
  /** A key that is different for different targets. */
  key: string;
  /** The target in words, for the viewer. */
  label: string;
}

/** One player of the page: its control bar's right end, all of it, and the box that holds its picture. */
interface Player {
  group: Element | null;
  whole: Element;
  box: Element;
}

interface PanelPlace {
  parent: Element;
  fixed: boolean;
  /** Of a fixed panel, in pixels of the window. */
  area: { left: number; top: number; width: number; height: number } | null;
}

interface Place {
  parent: Element;
  before: Node | null;
  floating: boolean;
}

/** The states of a question and what can happen to it: lib/states.js. */
type AskingState = "idle" | "asking" | "running" | "blocked" | "signing" | "found" | "none" | "error";
type AskingEvent =
  | "ask" | "sign-in" | "known" | "running" | "blocked" | "lost" | "found" | "none" | "refused" | "late" | "silent" | "updated"
  | "close" | "leave";

/** Sends a message to the background. */
type Send = <Name extends MessageName>(name: Name, request: Messages[Name]["request"]) => Promise<Messages[Name]["reply"]>;

interface AskingParts {
  send: Send;
  show(view: View): void;
  /** The view of a problem of the extension's own. */
  problem(code: "extension-updated" | "extension-silent" | "job-slow", wait?: number | null): ProblemView;
  /** Milliseconds of a clock, and waiting by it. */
  now?: () => number;
  wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** How a question is asked. */
interface AskingWay {
  /** No earlier answer will do: listen again. */
  fresh?: boolean;
  /** The viewer has chosen the moment: the live one will not do in its place. */
  chosen?: boolean;
}

interface Asking {
  ask(question: () => Question | Promise<Question>, way?: AskingWay): Promise<View | null>;
  signIn(question: () => Question | Promise<Question>, way?: AskingWay): Promise<View | null>;
  known(view: Found): void;
  end(event: "close" | "leave"): void;
  updated(): void;
  readonly state: AskingState;
}

/** What the classic scripts export to each other, as a global: the content scripts, and some of lib/ also to modules. */
interface TwitchAudioContent {
  targets: {
    parseTarget(text: string): ParsedTarget | null;
    toQuestion(target: ParsedTarget): Question;
  };
  site: {
    target(address: URL): Target | null;
    buttonPlace(): Place | null;
    panelPlace(): PanelPlace;
    theme(): "dark" | "light";
    isEditable(element: EventTarget | null): boolean;
    isControl(element: EventTarget | null): boolean;
    selectorReport(): string[];
  };
  states: {
    STATES: AskingState[];
    EVENTS: AskingEvent[];
    next(state: AskingState, event: AskingEvent): AskingState;
    shownAs(state: AskingState): View["state"] | "idle";
  };
  asking: {
    FLOOR_MS: number;
    MAX_QUESTION_MS: number;
    EARLIER_SECONDS: number[];
    create(parts: AskingParts): Asking;
    sender(deliver: (message: object) => Promise<any>, alive: () => boolean, wait?: (ms: number) => Promise<void>): Send;
    NoReplyError: new (event: "silent" | "updated") => Error & { event: "silent" | "updated" };
  };
  /** Whether the page has a script of the installed extension already. */
  isCurrent?: () => boolean;
  say: Say;
  icons: Record<"note" | "bars" | "close" | "copy" | "check" | "open" | "search" | "flag", () => SVGSVGElement> & {
    landmarks(points: [number, number][]): SVGSVGElement;
  };
  button: {
    create(label: string, onPress: (byKeyboard: boolean) => void): {
      element: HTMLButtonElement;
      wrapper: HTMLElement;
      setBusy(busy: boolean): void;
      setOpen(open: boolean): void;
    };
  };
  panelStyle: string;
  panel: {
    create(acts: PanelActs): Panel;
  };
}

interface PanelActs {
  act(action: Pick<Action, "name" | "ago">): void;
  /** The viewer has dismissed the panel. */
  closed(byKeyboard: boolean): void;
  /** Focus goes back to the button. */
  leave(): void;
  /** Whether keys that are pressed in an element are text input. */
  isEditable(element: EventTarget | null): boolean;
  /** Whether a press on it is for a control of the player, not for the picture. */
  isControl(element: EventTarget | null): boolean;
  /** A picture of the server, as an address that any page can show; null without one. Left out where there is no server. */
  picture?(path: string): Promise<string | null>;
  /** Left out where nothing can be reported. */
  report?(id: string, reason: "wrong-song" | "other", note: string): Promise<ProblemView | null>;
}

interface Panel {
  host: HTMLElement;
  show(view: View, target: Target): void;
  hide(): void;
  readonly open: boolean;
  readonly view: View | null;
  focus(): void;
  /** Handles a key that was pressed in the panel. */
  key(event: KeyboardEvent): void;
}

declare var twitchaudio: TwitchAudioContent;

interface NavigationLike extends EventTarget {}
