use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BinaryType, Event, MessageEvent, WebSocket};

/// What happens to a socket.
pub(super) enum SocketEvent {
    /// It is open.
    Opened,
    /// A message of bytes.
    Bytes(Vec<u8>),
    /// A message of something else.
    Unreadable,
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
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on_open = listen(tell.clone(), |_: Event| SocketEvent::Opened);
        let on_message = listen(tell.clone(), |event: MessageEvent| read(&event));
        let on_close = listen(tell, |_: Event| SocketEvent::Closed);
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

fn read(event: &MessageEvent) -> SocketEvent {
    match event.data().dyn_ref::<ArrayBuffer>() {
        Some(buffer) => SocketEvent::Bytes(Uint8Array::new(buffer).to_vec()),
        None => SocketEvent::Unreadable,
    }
}

/// A listener that tells what `read` makes of an event.
fn listen<E: wasm_bindgen::convert::FromWasmAbi + 'static>(
    tell: impl Fn(SocketEvent) + 'static,
    read: fn(E) -> SocketEvent,
) -> Closure<dyn FnMut(E)> {
    Closure::new(move |event| tell(read(event)))
}
