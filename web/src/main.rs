//! Mounts the page.

use leptos::prelude::*;
use tachograph_web::signals::Signals;
use tachograph_web::transport::Client;
use tachograph_web::view::App;

fn main() {
    // The page of a release has no words for a panic; failure.js marks it as failed all the same.
    #[cfg(debug_assertions)]
    std::panic::set_hook(Box::new(|panic| web_sys::console::error_1(&panic.to_string().into())));
    let signals = Signals::default();
    Client::start(signals);
    mount_to_body(move || view! { <App signals /> });
}
