// What pages do by themselves: follow changes, count down, and answer keys. Every page works without it.
"use strict";
(() => {
  const one = (what, where = document) => where.querySelector(what);
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const root = document.body.dataset.root;

  // -- signing in: the code is behind `#`, where no server and no log sees it
  const door = one("#sign-in");
  if (door) {
    const enter = () => {
      const code = location.hash.slice(1);
      if (!code) return;
      history.replaceState(null, "", location.pathname);
      one("#code").value = code;
      one("button", door).focus();
    };
    // a link that is opened where this page is already loads nothing anew
    addEventListener("hashchange", enter);
    enter();
    return;
  }
  if (!root) return;

  const say = (text) => { one("#said").textContent = text; };

  // -- signed out, here or in another window: nothing is decided any more, and this page is where signing in leads to
  let out = false;
  const signedOut = () => {
    if (out) return;
    out = true;
    rest();
    one("#live .word").textContent = "signed out";
    for (const button of all("form[method=post] button")) button.disabled = true;
    const note = document.createElement("p");
    note.className = "problem";
    note.id = "out";
    note.setAttribute("role", "alert");
    const link = document.createElement("a");
    link.href = location.pathname + location.search;
    link.textContent = "Sign in, and come back to this page";
    note.append("You are signed out: nothing can be decided here. ", link);
    one("main").prepend(note);
  };

  // -- as it was sent: what this script does to it is no change
  const watched = (page) => new Map(all("[data-watched]", page).map((part) => [part.id, part.innerHTML]));
  const begun = watched(document);
  const sent = new WeakMap(all("li[data-id]").map((line) => [line, line.outerHTML]));

  // -- time left
  const two = (n, unit, m, smaller) => m ? `${n} ${unit} ${m} ${smaller}` : `${n} ${unit}`;
  const span = (s) => s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
    : s < 86400 ? two(Math.floor(s / 3600), "h", Math.floor(s / 60) % 60, "min")
    : two(Math.floor(s / 86400), "d", Math.floor(s / 3600) % 24, "h");
  const count = () => {
    for (const time of all("[data-until]")) {
      const left = Math.floor((Number(time.dataset.until) - Date.now()) / 1000);
      time.textContent = left > 0 ? `${span(left)} left` : "time is over";
      time.classList.toggle("soon", left < 120);
    }
  };
  setInterval(count, 1000);
  count();

  // -- changes
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");
  const fetched = async (path) => {
    const answer = await fetch(path, { credentials: "same-origin", redirect: "manual" });
    // a page of ours leads nowhere else but to signing in
    if (answer.status === 401 || answer.type === "opaqueredirect") signedOut();
    return answer.ok ? parse(await answer.text()) : null;
  };
  const list = (name) => one(`[data-list="${name}"]`);

  // A line that is shown changes where it is; a new one comes last, where it moves nothing.
  const place = (line) => {
    const shown = document.getElementById(line.id);
    const html = line.outerHTML;
    sent.set(line, html);
    if (shown) {
      if (sent.get(shown) === html) return;
      const selected = shown.getAttribute("aria-current");
      if (selected) line.setAttribute("aria-current", selected);
      if (shown.dataset.state !== line.dataset.state) line.classList.add("changed");
      const focused = shown.contains(document.activeElement);
      shown.replaceWith(line);
      if (focused) one("a", line)?.focus({ preventScroll: true });
      return;
    }
    if (line.dataset.state !== "proposed") return;
    const queue = list("queue");
    const into = queue ?? (list("mine") && (line.dataset.mine === undefined ? list("others") : list("mine")));
    // of a list that goes on elsewhere it would not be the next one
    if (!into || into.dataset.full === "true") return;
    line.classList.add("fresh");
    // it takes the room that was kept for it
    const panel = into.closest(".now");
    if (panel) panel.style.minHeight = `${panel.offsetHeight}px`;
    panel?.classList.add("came");
    into.append(line);
    say(`New: ${one(".what", line).textContent}`);
  };

  const refresh = async (id) => {
    const sheet = one("[data-approval]");
    if (sheet) {
      if (sheet.dataset.approval === id) await sheetAnew();
    }
    const page = await fetched(`${root}/approvals/${id}/row`);
    const line = page && one("li", page);
    if (line) { if (!sheet) place(document.adoptNode(line)); }
  };

  const sheetAnew = async () => {
    const page = await fetched(location.pathname);
    if (!page) return;
    for (const old of all("[data-fresh]")) {
      const next = one(`#${old.id}`, page);
      // words that somebody is writing stay until the matter itself is over
      const writing = all("input:not([type=hidden])", old).some((field) => field.value || field === document.activeElement);
      if (!next || (writing && one("#reason", next))) continue;
      if (next.innerHTML !== old.innerHTML) old.replaceWith(document.adoptNode(next));
    }
    badge(page);
    count();
  };
  const badge = (page) => {
    const waiting = one("#waiting", page);
    if (waiting) one("#waiting").textContent = waiting.textContent;
    for (const next of all("[data-count]", page)) {
      const count = document.getElementById(next.id);
      if (count) count.textContent = next.textContent;
    }
  };

  // Somebody may be reading or writing: what is otherwise by now comes when they want it.
  const news = (page) => {
    const now = watched(page);
    if (one("#news") || (now.size === begun.size && [...now].every(([id, html]) => begun.get(id) === html))) return;
    const note = document.createElement("p");
    note.id = "news";
    note.className = "news";
    const link = document.createElement("a");
    link.href = location.pathname + location.search;
    link.textContent = "Show it as it is now";
    note.append("Something on this page has changed. ", link);
    one("main").prepend(note);
    say("Something on this page has changed.");
  };

  const pending = new Set();
  let busy = false;
  const work = async () => {
    if (busy) return;
    busy = true;
    try {
      while (pending.size) {
        const many = pending.size > 40;
        const ids = [...pending];
        pending.clear();
        if (many) { location.reload(); return; }
        for (const id of ids) await refresh(id);
        if (!one("[data-approval]")) {
          const page = await fetched(list("mine") ? location.pathname : `${root}/approvals/history`);
          if (page) badge(page);
        }
        count();
      }
    } catch { /* the stream says when there is somebody to ask again */ } finally { busy = false; }
  };

  let stream = null;
  const live = (on) => {
    one("#live").dataset.on = on;
    one("#live").title = on ? "This page follows changes: it shows them, or says that there are some" : "This page does not follow changes now";
    one("#live .word").textContent = on ? "live" : out ? "signed out" : "offline";
  };
  // of what only people load anew it says nothing; that they are signed out it does
  one("#live").hidden = !one("[data-watched], [data-list], [data-approval]");
  const follow = () => {
    if (stream || out || document.hidden) return;
    stream = new EventSource(`${root}/live`);
    // what happened between the page and the stream nobody told us
    stream.addEventListener("hello", () => { live(true); catchUp().catch(() => {}); });
    stream.addEventListener("approval", (event) => { pending.add(event.data); work(); });
    stream.addEventListener("record", recorded);
    stream.addEventListener("missed", () => catchUp().catch(() => {}));
    stream.addEventListener("out", signedOut);
    stream.addEventListener("error", () => {
      live(false);
      // a browser does not say why; whether somebody is signed in another question does
      if (stream?.readyState === EventSource.CLOSED) { stream = null; fetched(location.pathname + location.search).catch(() => {}); }
    });
  };
  const rest = () => { stream?.close(); stream = null; live(false); };
  // what happened while nobody told us
  const catchUp = async () => {
    if (one("[data-approval]")) return sheetAnew();
    const page = await fetched(location.pathname + location.search);
    if (!page) return;
    badge(page);
    news(page);
    for (const next of all("[data-list]", page)) {
      const known = list(next.dataset.list);
      const names = new Set(all("li", next).map((line) => line.id));
      for (const line of all("li[data-id]", next)) place(document.adoptNode(line));
      for (const line of known ? all("li[data-id]", known) : []) {
        if (!names.has(line.id)) { pending.add(line.dataset.id); }
      }
    }
    work();
  };
  // Something was recorded, whatever it is: a look soon, and one more for what comes of it. Nobody is looked at more often
  // than a twentieth of the time takes.
  let wanted = 0, timer = null, took = 0;
  const plan = (ms) => { timer ??= setTimeout(look, Math.max(ms, 20 * took)); };
  const recorded = () => { wanted = 2; plan(1000); };
  const look = async () => {
    timer = null;
    if (out || document.hidden) return;
    wanted -= 1;
    const before = performance.now();
    try { await catchUp(); } catch { /* the stream says when there is somebody to ask again */ }
    took = performance.now() - before;
    if (wanted > 0) plan(4000);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) rest();
    // somebody who signed in elsewhere meanwhile has the page as it is
    else if (out) fetch(location.href, { redirect: "error" }).then((answer) => { if (answer.ok) location.reload(); }, () => {});
    else follow();
  });
  addEventListener("pagehide", rest);
  addEventListener("pageshow", follow);
  follow();

  // -- keys
  const lines = () => all("ol.lines > li, ol.calls > li");
  const select = (step) => {
    const every = lines();
    if (!every.length) return;
    const now = every.findIndex((line) => line.contains(document.activeElement));
    const next = every[Math.max(0, Math.min(every.length - 1, now + step))] ?? every[0];
    one("a", next).focus();
  };
  const open = (hash) => {
    const line = lines().find((line) => line.contains(document.activeElement));
    if (line) location.assign(one("a", line).href + hash);
    return Boolean(line);
  };
  const help = one("#help");
  const keys = {
    j: () => select(1), ArrowDown: () => select(1),
    k: () => select(-1), ArrowUp: () => select(-1),
    a: () => { one("#approve")?.focus() ?? open("#approve"); },
    d: () => { one("#reason")?.focus() ?? open("#reason"); },
    u: () => location.assign(`${root}/approvals`),
    "/": () => one("#search") ? one("#search").focus() : location.assign(`${root}/activity#search`),
    "?": () => help.showModal(),
  };
  const far = { h: "", q: "/approvals", a: "/activity", s: "/servers" };
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    // with the shift key too, and with capitals locked
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (going && Object.hasOwn(far, key)) { location.assign(root + far[key]); event.preventDefault(); return; }
    going = key === "g";
    if (!Object.hasOwn(keys, key)) return;
    event.preventDefault();
    keys[key]();
  });
  one("#help-open").addEventListener("click", () => help.showModal());

  // a page that was opened to decide begins at the decision
  const aim = document.getElementById(location.hash.slice(1));
  if (aim?.matches("button, input")) aim.focus();

  // one press, one vote
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
})();
