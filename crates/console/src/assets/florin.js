// The script of the console. Pages work without it, except for dialogs and uploads.
//
// It shows times in the viewer's zone, opens dialogs, asks for live parts again, follows streams,
// and sends files with progress. It adds no text of the server to a page as markup: whole
// documents are parsed apart, and their elements are moved over.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(then) {
  const seconds = (then - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) || UNITS[3];
  return relative.format(Math.round(seconds / size), unit);
}

// Days and hours of a place are those of its zone.
function inZone(timeZone, hours) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone, ...(hours !== undefined && { timeStyle: "short" }) });
}

// Times: the viewer's zone to the eye, UTC in the title.
function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const then = Date.parse(element.dateTime);
    if (Number.isNaN(then)) continue;
    const { there, hours } = element.dataset;
    const shown = there ? inZone(there, hours).format(then) : "ago" in element.dataset ? ago(then) : exact.format(then);
    if (element.textContent !== shown) element.textContent = shown;
  }
}

// Fields for times: shown and taken in the viewer's zone, sent in UTC.
function showTimeFields(root) {
  for (const element of root.querySelectorAll("[data-zone]")) element.textContent = ` (${zone})`;
  for (const input of root.querySelectorAll("input[data-utc]")) {
    const then = new Date(input.dataset.utc);
    if (Number.isNaN(then.getTime())) continue;
    const local = new Date(then.getTime() - then.getTimezoneOffset() * 60000);
    input.value = local.toISOString().slice(0, 16);
  }
}

document.addEventListener("formdata", (event) => {
  const empty = [];
  for (const [name, value] of event.formData) {
    const field = event.target.elements[name];
    if (field instanceof HTMLInputElement && field.type === "datetime-local" && value) {
      event.formData.set(name, new Date(value).toISOString());
    }
    if (event.target.method === "get" && value === "") empty.push(name);
  }
  for (const name of empty) event.formData.delete(name);
});

// A form is sent once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.upload !== undefined) return;
  if (form.method !== "post") return;
  if (form.dataset.sent !== undefined) { event.preventDefault(); return; }
  form.dataset.sent = "";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Dialogs, and the menu on a phone.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.dialog) document.getElementById(button.dataset.dialog)?.showModal();
  if ("close" in button.dataset) button.closest("dialog")?.close();
  if ("menu" in button.dataset) {
    const open = document.getElementById("menu").classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  }
  if (button.dataset.copy) navigator.clipboard?.writeText(button.dataset.copy);
});
// Escape closes what was opened, and the focus goes back to what opened it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  for (const open of document.querySelectorAll("details.who[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
  if (document.querySelector("#menu.open")) {
    const button = document.querySelector("button[data-menu]");
    button.click();
    button.focus();
  }
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.who[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

// Parts of a page: asked for again, and put in the place of the old ones.
async function fetchPart(url, id) {
  const answer = await fetch(url, { headers: { "x-part": id }, credentials: "same-origin" });
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(String(answer.status));
  const text = await answer.text();
  return new DOMParser().parseFromString(text, "text/html").getElementById(id);
}

function replace(old, part) {
  const open = [...old.querySelectorAll("details[open]")].map((one) => one.id || one.className);
  const focus = old.contains(document.activeElement) ? document.activeElement.id : "";
  const next = document.importNode(part, true);
  for (const details of next.querySelectorAll("details")) {
    if (open.includes(details.id || details.className)) details.open = true;
  }
  showTimes(next);
  showTimeFields(next);
  old.replaceWith(next);
  if (focus) document.getElementById(focus)?.focus();
  return next;
}

// Somebody is busy inside: not now.
function busy(element) {
  const inside = document.activeElement;
  return element.querySelector("dialog[open]") !== null
    || (element.contains(inside) && inside.matches("input, select, textarea"));
}

function keepLive(element) {
  const seconds = Number(element.dataset.live);
  if (!seconds || !element.id) return;
  setTimeout(async () => {
    if (!element.isConnected) return;
    if (document.hidden || busy(element)) { keepLive(element); return; }
    try {
      const part = await fetchPart(location.href, element.id);
      if (part) element = replace(element, part);
      startLive(element);
    } catch {
      element.dataset.stale = "";
    }
    keepLive(element);
  }, seconds * 1000);
}

// A message that is all of what an element shows.
function whole(element, text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  element.replaceChildren(...[...page.body.childNodes].map((node) => document.importNode(node, true)));
  showTimes(element);
}

// Streams: each message is a row of a table, newest on top, or all of the element.
function follow(element) {
  const most = Number(element.dataset.most || 200);
  const source = new EventSource(element.dataset.stream);
  const state = document.getElementById(element.dataset.state || "");
  const say = (text) => { if (state) state.textContent = text; };
  source.onopen = () => say("live");
  source.onerror = () => say("connecting again …");
  source.onmessage = (event) => {
    if (element.dataset.paused !== undefined) return;
    if (element.dataset.whole !== undefined) { whole(element, event.data); return; }
    const page = new DOMParser().parseFromString(`<table><tbody>${event.data}</tbody></table>`, "text/html");
    for (const row of page.querySelectorAll("tbody > tr")) {
      const next = document.importNode(row, true);
      next.classList.add("fresh");
      showTimes(next);
      element.prepend(next);
    }
    while (element.rows.length > most) element.deleteRow(-1);
  };
  window.addEventListener("pagehide", () => source.close());
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-pause]");
  if (!button) return;
  const target = document.getElementById(button.dataset.pause);
  const paused = target.toggleAttribute("data-paused");
  button.textContent = paused ? "Go on" : "Pause";
});

// Files: sent as the body of a request, with progress.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.upload === undefined) return;
  event.preventDefault();
  const file = form.elements.file.files[0];
  if (!file) return;
  const query = new URLSearchParams(new FormData(form));
  query.delete("file");
  query.set("name", file.name);
  const [button, line, wrong] = ["button", ".uploading", ".said"].map((s) => form.querySelector(s));
  const bar = line.querySelector("progress");
  const done = (text) => { button.disabled = false; line.hidden = true; wrong.hidden = false; wrong.textContent = text; };
  const request = new XMLHttpRequest();
  request.open("POST", `${form.dataset.upload}?${query}`);
  request.setRequestHeader("x-form-token", form.dataset.token);
  request.setRequestHeader("x-part", "upload");
  request.setRequestHeader("content-type", file.type || "application/octet-stream");
  request.upload.onprogress = (sent) => {
    if (!sent.lengthComputable) return;
    bar.value = sent.loaded / sent.total * 100;
    line.querySelector("[data-sent]").textContent = `${Math.round(bar.value)} %`;
  };
  request.onerror = () => done("The server could not be reached; nothing is known to have arrived.");
  request.onload = () => {
    if (request.status === 401) { location.reload(); return; }
    const place = request.getResponseHeader("x-place");
    if (place) { location.assign(place); return; }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    done(page.querySelector(".notice")?.textContent || `The server answered ${request.status}.`);
  };
  button.disabled = true;
  wrong.hidden = true;
  line.hidden = false;
  request.send(file);
});

function startLive(root) {
  for (const element of root.querySelectorAll("[data-live]")) keepLive(element);
}
showTimes(document);
showTimeFields(document);
startLive(document);
for (const element of document.querySelectorAll("[data-stream]")) follow(element);
setInterval(() => showTimes(document), 10000);
