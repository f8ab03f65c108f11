// Marks the whole page as failed: nothing may update it any more, and old figures would look live.
// The style sheet shows the mark's text, which is in index.html. A panic of the page's Rust comes
// here as a WebAssembly trap, so this must be loaded before it.
function markFailed({ error, reason }) {
  // Browsers report a late resize notification as an error of no kind; nothing broke.
  if (error || reason) document.documentElement.dataset.failed = "true";
}

addEventListener("error", markFailed);
addEventListener("unhandledrejection", markFailed);
