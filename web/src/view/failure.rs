use leptos::prelude::document;

/// Marks the whole page as failed: after a panic nothing would update it any more, and old figures
/// would look live. The style sheet shows the mark's text, which is in `index.html`.
pub fn announce_failure(reason: &str) {
    web_sys::console::error_1(&reason.into());
    if let Some(root) = document().document_element() {
        // Only a name that is no attribute's could fail.
        let _always_ok = root.set_attribute("data-failed", "true");
    }
}
