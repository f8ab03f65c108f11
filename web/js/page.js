// What only a browser has: elements, files, the clipboard, notifications, dialogs, its own memory, the address.

export const byId = (id) => document.getElementById(id) ?? document.createElement("i");

export function make(tag, name, parent) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent.append(element);
  return element;
}

export function place(parent, element, next) {
  if (element === next) return element.nextElementSibling ?? undefined;
  parent.insertBefore(element, next ?? null);
  return next;
}

// An element that comes close to what can be seen, or goes from there, says so by an event of its own.
const sight = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen) {
      target.dispatchEvent(new CustomEvent("sight", { bubbles: true, detail: isIntersecting }));
    }
  },
  { rootMargin: "100px" },
);

export const tellSight = (element) => sight.observe(element);

export const after = (millis, done) => setTimeout(done, millis);

// The pointer can be gone already.
export function capture(element, pointer) {
  try {
    element.setPointerCapture(pointer);
  } catch {}
}

export const parts = (element) => [...element.querySelectorAll("[data-part]")];

// A number that is being typed is not yet what it will be.
export const setValue = (control, value) => {
  const isTyped = control.inputMode === "decimal" && document.activeElement === control;
  if (control.value !== String(value) && !isTyped) control.value = value;
};

export const valueOf = (control) => String(control.value ?? "");

export function download(name, kind, bytes) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes.slice()], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const copy = (text, done) =>
  Promise.resolve()
    .then(() => navigator.clipboard.writeText(text))
    .then(() => done(true), () => done(false));

export const askToNotify = (done) =>
  Promise.resolve()
    .then(() => Notification.requestPermission())
    .then((answer) => done(answer === "granted"), () => done(false));

// Some browsers have the word and do not let a page use it.
export function notify(title, words) {
  try {
    if (Notification.permission === "granted") new Notification(title, { body: words, tag: title });
  } catch {}
}

const TEXT_MAX = 65_536;
let reading = 0;

export async function readFile(file, pieceBytes, begin, piece, end) {
  const own = ++reading;
  const inPieces = begin(file.name);
  let text = inPieces ? "" : " ";
  try {
    if (!inPieces && file.size <= TEXT_MAX) text += await file.text();
    for (let at = 0; inPieces && at < file.size; at += pieceBytes) {
      const bytes = new Uint8Array(await file.slice(at, at + pieceBytes).arrayBuffer());
      if (own !== reading || !piece(bytes)) break;
    }
  } catch {
    // A folder, or a file that is gone: what was read is told.
  }
  if (own === reading) end(text);
}

export const fileOf = (event) => (event.dataTransfer ?? event.target)?.files?.[0];

export const openDialog = (dialog) => {
  if (!dialog.open) dialog.showModal();
};

export const closeDialogs = () => document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());

// A browser can forbid the memory altogether.
export function kept(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

export function keep(name, text) {
  try {
    localStorage.setItem(name, text);
    return true;
  } catch {
    return false;
  }
}

export const address = () => (known = location.hash);

export const base = () => location.href.split("#")[0];

// Browsers allow a page only so many changes of its address.
const ADDRESS_MS = 400;
let wanted;
// As it was read or written last.
let known;
let timer;

function writeAddress(isStep) {
  clearTimeout(timer);
  timer = undefined;
  // One that somebody has changed is still to be followed, and not written over before.
  if (location.hash === wanted || location.hash !== known) return;
  try {
    history[isStep ? "pushState" : "replaceState"](null, "", wanted);
    known = location.hash;
  } catch {}
}

export function showAddress(fragment, isStep) {
  if (wanted === fragment) return;
  wanted = fragment;
  if (isStep) {
    writeAddress(true);
    scrollTo(0, 0);
  } else timer ??= setTimeout(writeAddress, ADDRESS_MS, false);
}

export function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

export const setTitle = (title) => {
  if (document.title !== title) document.title = title;
};

export const zoneMinutes = () => -new Date().getTimezoneOffset();
