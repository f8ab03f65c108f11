//! Mounts the page.

use leptos::prelude::*;
use tachograph_web::signals::Signals;
use tachograph_web::transport::Client;
use tachograph_web::view::{App, announce_failure};

fn main() {
    std::panic::set_hook(Box::new(|panic| announce_failure(&panic.to_string())));
    let signals = Signals::default();
    Client::start(signals);
    mount_to_body(move || view! { <App signals /> });
}
