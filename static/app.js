// Pages are complete without this file. It keeps them up to date, sends files with progress, and saves some typing.
"use strict";

const REFRESH_AT_MOST_EVERY_MS = 700;
const PLAN_AFTER_TYPING_MS = 450;
const ASK_AGAIN_AFTER_MS = 3000;

const byId = (id) => document.getElementById(id);

// What the server sent for a part, before this file touched it.
const served = new WeakMap();
function remember() {
  for (const part of document.querySelectorAll("[data-live]")) if (!served.has(part)) served.set(part, part.outerHTML);
}

// Replaces every part marked data-live by the one with the same id in `html`. Open details and the focus stay.
function swap(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || served.get(part) === next.outerHTML) continue;
    const active = document.activeElement;
    if (part.contains(active) && active.matches("input[type=text], input[type=number], input[type=range], textarea, select")) continue;
    const html = next.outerHTML;
    for (const details of part.querySelectorAll("details[id]")) {
      const twin = next.querySelector("#" + CSS.escape(details.id));
      if (twin) twin.open = details.open;
    }
    const top = part.scrollTop;
    const scrolled = [...part.querySelectorAll("[id]")].filter((inner) => inner.scrollTop > 0).map((inner) => [inner.id, inner.scrollTop]);
    const focused = part.contains(active) && active.id;
    part.replaceWith(document.adoptNode(next));
    served.set(next, html);
    next.scrollTop = top;
    for (const [id, inner] of scrolled) if (byId(id)) byId(id).scrollTop = inner;
    if (focused && byId(focused)) byId(focused).focus({ preventScroll: true });
  }
  wake(document);
}

// --- Live pages: the server says that something changed; the page is fetched again and its parts are swapped.
function follow(url) {
  let due = 0;
  let timer = null;
  const says = document.querySelector("[data-connection]");
  const away = document.querySelector("[data-away]");
  let over = false;
  const tell = (here) => {
    if (says) says.textContent = here ? "Live" : "Not connected";
    if (away) away.hidden = here;
  };
  // Not the address in the bar: a refused form is answered under the form's, which cannot be fetched.
  const page = document.body.dataset.page;
  const refresh = async () => {
    timer = null;
    due = Date.now() + REFRESH_AT_MOST_EVERY_MS;
    try {
      const answer = await fetch(page, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname !== page) location.href = answer.url;
      else if (answer.ok) swap(await answer.text());
      if (!over) tell(true);
    } catch {
      // The stream's own error says that the server is away.
    }
  };
  const soon = () => { timer ??= setTimeout(refresh, Math.max(0, due - Date.now())); };
  const listen = () => {
    const stream = new EventSource(url);
    stream.addEventListener("changed", soon);
    stream.onopen = () => { tell(true); soon(); };
    stream.addEventListener("ended", () => { over = true; stream.close(); soon(); if (says) says.textContent = ""; });
    stream.onerror = () => {
      if (over) return;
      tell(false);
      // A server that was started anew knows no session: the browser gives such a stream up, and the page leads to the login.
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => { soon(); listen(); }, ASK_AGAIN_AFTER_MS);
    };
  };
  listen();
}

// --- Inputs that show the same number.
document.addEventListener("input", ({ target }) => {
  if (!target.dataset.mirror) return;
  const other = byId(target.dataset.mirror);
  if (other) other.value = target.value;
  const twin = byId("share-twin");
  if (!twin) return;
  const command = twin.dataset.pattern.replace("%", () => target.value || "0");
  twin.querySelector("code").textContent = command;
  twin.querySelector("[data-copy]").dataset.copy = command;
});

// --- Copy buttons.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const text = button.dataset.copy ?? byId(button.dataset.copyFrom).textContent;
  const word = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    button.textContent = "not allowed here";
  }
  setTimeout(() => { button.textContent = word; }, 1500);
});

// --- Files: sent as they are, with real progress; the answer's digest goes into the form.
function drop(zone, form) {
  const input = zone.querySelector("input[type=file]");
  const say = zone.querySelector("[data-say]");
  const bar = zone.querySelector("progress");
  const field = byId(zone.dataset.drop);
  let sending = null;
  const send = (file) => {
    if (sending) sending.abort();
    const request = new XMLHttpRequest();
    sending = request;
    request.open("PUT", "/api/v1/artifacts?filename=" + encodeURIComponent(file.name));
    request.upload.onprogress = (progress) => {
      const part = progress.total ? progress.loaded / progress.total : 0;
      bar.value = part;
      say.textContent = part < 1 ? `${file.name}: ${Math.round(part * 100)} % of ${(file.size / 1e6).toFixed(1)} MB sent` : `${file.name}: being read…`;
    };
    request.onload = () => {
      bar.hidden = true;
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* said below */ }
      if (request.status < 300 && answer.digest) {
        say.textContent = `${file.name}: stored`;
        field.value = answer.digest;
        replan(form);
      } else {
        say.textContent = [answer.detail ?? "The server did not take this file.", answer.next].filter(Boolean).join(" ");
      }
    };
    request.onerror = () => { bar.hidden = true; say.textContent = "The connection broke; nothing was stored. Choose the file again."; };
    bar.hidden = false;
    bar.value = 0;
    request.send(file);
  };
  input.addEventListener("change", () => { if (input.files[0]) send(input.files[0]); input.value = ""; });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
    });
  }
}

// --- The live plan: the form is posted as *Show plan* does, and the parts that changed are swapped.
let planning = null;
async function replan(form) {
  if (planning) planning.abort();
  planning = new AbortController();
  const fields = new URLSearchParams(new FormData(form));
  fields.set("action", "live");
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: fields, signal: planning.signal });
    if (answer.status === 200 || answer.status === 422) swap(await answer.text());
    const ended = byId("form-ended");
    if (ended) ended.hidden = answer.status !== 401;
  } catch {
    // Overtaken by a later change, or the server is away: the next change asks again.
  }
}

function livePlan(form) {
  let timer = null;
  const soon = (event) => {
    const field = event.target;
    if (field.form !== form || field.type === "file" || field.name === "yaml") return;
    const row = field.closest("[data-row]");
    if (row && row === row.parentElement.lastElementChild && field.value) {
      const copy = row.cloneNode(true);
      for (const cell of copy.querySelectorAll("input")) cell.value = "";
      row.after(copy);
    }
    clearTimeout(timer);
    timer = setTimeout(() => replan(form), PLAN_AFTER_TYPING_MS);
  };
  document.addEventListener("input", soon);
  for (const zone of form.querySelectorAll("[data-drop]")) drop(zone, form);
}

// What needs JavaScript shows itself only now.
function wake(root) {
  for (const hidden of root.querySelectorAll("[data-copy][hidden], [data-copy-from][hidden], input[type=range][hidden]")) hidden.hidden = false;
}

remember();
wake(document);
const form = document.querySelector("form[data-plan]");
if (form) livePlan(form);
if (document.body.dataset.stream) follow(document.body.dataset.stream);
