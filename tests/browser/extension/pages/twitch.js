/**
 * What twitch.tv does to its pages, for tests: a single page that swaps its parts, a control bar that is thrown away
 * and made anew, theatre mode, full screen, ads, a busy chat. `twitch` has a function for each.
 */
window.twitch = (() => {
  const main = document.getElementById("main");
  let barTimer = 0;
  let chatTimer = 0;

  async function load(path) {
    const response = await fetch(`/fixture/page?path=${encodeURIComponent(path)}`);
    return response.text();
  }

  /** As React does it: the address changes first, the page a while later, the player stays if there is one. */
  async function go(path, { after = 60 } = {}) {
    history.pushState({}, "", path);
    await new Promise((resolve) => setTimeout(resolve, after));
    const page = document.createElement("template");
    page.innerHTML = await load(path);
    const [old, fresh] = [main.querySelector(".persistent-player"), page.content.querySelector(".persistent-player")];
    if (old && fresh) fresh.replaceWith(old);
    main.replaceChildren(page.content);
    document.title = `${path} - Twitch`;
  }

  /** The bar is taken away and comes back as new elements. */
  function replaceBar(missingFor = 0) {
    const old = main.querySelector(".player-controls");
    const fresh = old.cloneNode(true);
    for (const foreign of fresh.querySelectorAll("[data-twitchaudio]")) foreign.remove();
    const parent = old.parentElement;
    old.remove();
    clearTimeout(barTimer);
    if (missingFor) barTimer = setTimeout(() => parent.append(fresh), missingFor);
    else parent.append(fresh);
  }

  /** An ad break: no control bar for so long. */
  const ad = (ms) => replaceBar(ms);

  const theatre = (on) => {
    main.querySelector(".persistent-player").classList.toggle("persistent-player--theatre", on);
    replaceBar();
  };

  const mini = (on) => main.querySelector(".persistent-player").classList.toggle("persistent-player__border--mini", on);

  /** As of 2026: the player says itself that it is a mini player. */
  const miniState = (on) => {
    const player = main.querySelector(".video-player");
    player.dataset.aPlayerState = on ? "mini" : "";
    player.dataset.aPlayerType = on ? "site_mini" : "site";
  };

  /** The bar is made anew beside the old one, which stays as a hidden copy with all that is in it. */
  function hideAndRenew() {
    const old = main.querySelector(".player-controls__right-control-group");
    const fresh = old.cloneNode(true);
    for (const foreign of fresh.querySelectorAll("[data-twitchaudio]")) foreign.remove();
    old.style.display = "none";
    old.before(fresh);
  }

  /** An ad with a picture of its own over the video's, which is so far; the stream plays on in a small picture. */
  function ownAd(seconds) {
    const ad = main.querySelector("video").cloneNode();
    ad.className = "ad-video";
    const label = document.createElement("span");
    label.dataset.aTarget = "video-ad-label";
    label.append(document.createElement("span"));
    label.firstChild.dataset.aTarget = "video-ad-countdown";
    const small = document.createElement("div");
    small.className = "picture-by-picture-player";
    small.dataset.aTarget = "picture-by-picture-player";
    small.append(document.createElement("div"));
    small.firstChild.className = "pbyp-player-instance";
    small.firstChild.append(main.querySelector("video").cloneNode());
    main.querySelector(".video-ref").append(ad, label, small);
    return new Promise((resolve) => {
      ad.addEventListener("seeked", resolve, { once: true });
      ad.addEventListener("loadedmetadata", () => { ad.currentTime = seconds; }, { once: true });
    });
  }
  const adOver = () => main.querySelectorAll(".ad-video, .picture-by-picture-player, [data-a-target=video-ad-label]").forEach((each) => each.remove());

  /** What the seek bar shows. */
  function seekbar(at, end) {
    const two = (seconds) => [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
      .map((each) => String(each).padStart(2, "0")).join(":");
    const group = main.querySelector(".player-controls__left-control-group");
    for (const [name, value] of [["current-time", at], ["duration", end]]) {
      let label = group.querySelector(`[data-a-target=player-seekbar-${name}]`);
      if (!label) group.append(label = document.createElement("p"));
      label.dataset.aTarget = `player-seekbar-${name}`;
      label.dataset.aValue = value;
      label.textContent = two(value);
    }
  }

  const fullscreen = () => main.querySelector(".video-player").requestFullscreen();

  const look = (theme) => {
    document.documentElement.className = `tw-root--theme-${theme} tw-root--hover`;
  };

  const WORDS = ["what song is this", "Kappa", "that bass tho", "hello from Lyon", "PogChamp", "lurking", "track ID???"];
  /** So many lines are added at once; old ones go. */
  function say(lines = 1) {
    const list = main.querySelector(".chat-list");
    const fragment = document.createDocumentFragment();
    for (let i = 0; i < lines; i++) {
      const line = document.createElement("div");
      line.className = "chat-line chat-line__message";
      const name = document.createElement("b");
      name.textContent = `viewer${Math.floor(Math.random() * 999)}`;
      line.append(name, `: ${WORDS[Math.floor(Math.random() * WORDS.length)]}`);
      fragment.append(line);
    }
    list.append(fragment);
    while (list.children.length > 150) list.firstChild.remove();
    list.scrollTop = list.scrollHeight;
  }
  const chat = (on) => {
    clearInterval(chatTimer);
    if (on) chatTimer = setInterval(() => say(5), 50);
  };

  // What reaches Twitch's own layers and shortcuts.
  const reached = [];
  // Some of Twitch's shortcuts are taken early.
  document.addEventListener("keydown", (event) => reached.push(`early ${event.key}`), true);
  for (const name of ["click", "dblclick"]) document.addEventListener(name, (event) => reached.push(`${name} ${event.target.className}`));
  document.addEventListener("keydown", (event) => reached.push(`keydown ${event.key}`));

  return { go, replaceBar, ad, theatre, mini, miniState, hideAndRenew, ownAd, adOver, seekbar, fullscreen, look, say, chat, reached };
})();
