use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, MessageEvent, WebSocket};

/// What happens to a socket.
pub(super) enum SocketEvent {
    /// It is open.
    Opened,
    /// A text message.
    Text(String),
    /// It is gone; nothing follows.
    Closed,
}

/// A browser's socket, closed and silent once dropped.
pub(super) struct Socket {
    socket: WebSocket,
    // Held because the socket calls them.
    _on_open: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(Event)>,
}

impl Socket {
    /// Begins to open a socket; what becomes of it is told to `tell`.
    ///
    /// # Errors
    /// The browser refuses the address.
    pub(super) fn open(address: &str, tell: impl Fn(SocketEvent) + Clone + 'static) -> Result<Self, JsValue> {
        let socket = WebSocket::new(address)?;
        let on_open = listen(tell.clone(), |_: Event| Some(SocketEvent::Opened));
        let on_message = listen(tell.clone(), |event: MessageEvent| event.data().as_string().map(SocketEvent::Text));
        let on_close = listen(tell, |_: Event| Some(SocketEvent::Closed));
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        // An error is always followed by a close.
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Self { socket, _on_open: on_open, _on_message: on_message, _on_close: on_close })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        // It fails only for close codes that are not given here.
        let _always_ok = self.socket.close();
    }
}

/// A listener that tells what `read` makes of an event, if anything.
fn listen<E: wasm_bindgen::convert::FromWasmAbi + 'static>(
    tell: impl Fn(SocketEvent) + 'static,
    read: fn(E) -> Option<SocketEvent>,
) -> Closure<dyn FnMut(E)> {
    Closure::new(move |event| {
        if let Some(event) = read(event) {
            tell(event);
        }
    })
}
