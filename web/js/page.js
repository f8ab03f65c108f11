// What only a browser has: elements, files, the clipboard, notifications, dialogs, its own memory, the address.

export const byId = (id) => document.getElementById(id) ?? document.createElement("i");

export function make(tag, name, parent) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  parent.append(element);
  return element;
}

export const parts = (element) => [...element.querySelectorAll("[data-part]")];

export const setValue = (control, value) => {
  if (control.value !== String(value) && !(document.activeElement === control && control.type !== "range")) {
    control.value = value;
  }
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

export function notify(title, words) {
  if (globalThis.Notification?.permission === "granted") {
    new Notification(title, { body: words, tag: title });
  }
}

export async function readFile(file, pieceBytes, begin, piece, end) {
  if (!begin(file.name, file.size)) {
    return end(await file.text());
  }
  try {
    for (let at = 0; at < file.size; at += pieceBytes) {
      const bytes = new Uint8Array(await file.slice(at, at + pieceBytes).arrayBuffer());
      if (!piece(bytes)) break;
    }
  } finally {
    end("");
  }
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

export const address = () => location.hash;

export const base = () => location.href.split("#")[0];

export function showAddress(fragment, isStep) {
  if (location.hash === fragment) return;
  history[isStep ? "pushState" : "replaceState"](null, "", fragment);
  if (isStep) scrollTo(0, 0);
}

export function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

export const setTitle = (title) => {
  if (document.title !== title) document.title = title;
};

export const zoneMinutes = () => -new Date().getTimezoneOffset();
