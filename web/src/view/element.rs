use wasm_bindgen::JsCast;
use web_sys::{Document, Element, HtmlElement};

use super::canvas;

/// The page's document.
pub(super) fn document() -> Option<Document> {
    web_sys::window()?.document()
}

/// An element that is written to only where it changes.
#[derive(Debug)]
pub(super) struct Node {
    element: HtmlElement,
    text: String,
    /// Its attributes, and properties of its style.
    attributes: Vec<(&'static str, String)>,
}

impl Node {
    /// The element of this id.
    pub(super) fn by_id(id: &str) -> Self {
        Self::of(canvas::by_id(id))
    }

    /// A new element inside of another.
    pub(super) fn made(tag: &str, class: &str, parent: &Node) -> Self {
        Self::of(canvas::make(tag, class, &parent.element))
    }

    /// An element.
    pub(super) fn of(element: Element) -> Self {
        Self { element: element.unchecked_into(), text: String::new(), attributes: Vec::new() }
    }

    /// The elements inside that have a `data-part`, in their order.
    pub(super) fn parts(&self) -> Vec<Self> {
        canvas::parts(&self.element).into_iter().map(Self::of).collect()
    }

    pub(super) fn element(&self) -> &HtmlElement {
        &self.element
    }

    /// Gives it what it contains, as HTML of this program's own.
    pub(super) fn fill(&self, html: &'static str) {
        self.element.set_inner_html(html);
    }

    /// Sets its text.
    pub(super) fn text(&mut self, text: &str) {
        if self.text != text {
            self.element.set_text_content(Some(text));
            self.text.clear();
            self.text.push_str(text);
        }
    }

    /// Sets an attribute.
    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        if self.notes(name, value) {
            // Only a name that is no attribute's could fail.
            let _always_ok = self.element.set_attribute(name, value);
        }
    }

    /// Whether something has another value than before, which is kept.
    fn notes(&mut self, name: &'static str, value: &str) -> bool {
        let held = match self.attributes.iter_mut().find(|(held, _)| *held == name) {
            Some((_, held)) if held == value => return false,
            Some((_, held)) => held,
            None => {
                self.attributes.push((name, String::new()));
                let Some((_, held)) = self.attributes.last_mut() else { return true };
                held
            }
        };
        held.clear();
        held.push_str(value);
        true
    }

    /// Shows or hides it.
    pub(super) fn show(&mut self, is_shown: bool) {
        if self.notes("hidden", if is_shown { "no" } else { "yes" }) {
            self.element.set_hidden(!is_shown);
        }
    }

    /// Sets a property of its style.
    pub(super) fn style(&mut self, name: &'static str, value: &str) {
        if self.notes(name, value) {
            // Only a name that is no property's could fail.
            let _always_ok = self.element.style().set_property(name, value);
        }
    }

    /// Takes it out of the page.
    pub(super) fn remove(&self) {
        self.element.remove();
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.element.set_text_content(None);
        self.text.clear();
    }

    /// Takes out its last element.
    pub(super) fn remove_last(&self) {
        self.element.last_element_child().iter().for_each(Element::remove);
    }

    /// Whether this is the same element.
    pub(super) fn is(&self, other: &Element) -> bool {
        self.element.is_same_node(Some(other))
    }
}
