//! The smallest application with a dashboard: `cargo run -p tachograph --example smallest`, then open the address
//! that it prints. Another address to listen at is its argument.

use axum::Router;
use axum::routing::get;
use tachograph::Tachograph;
use tachograph::bridge::RequestMetrics;
use tachograph::registry::Descriptor;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tacho = Tachograph::new()?;
    let orders = tacho.registry().counter(&Descriptor::new("orders", "Orders taken"))?.bind(&[])?;
    let order = async move || {
        orders.inc();
        "taken\n"
    };
    let app = Router::new()
        .route("/orders/{item}", get(order))
        // Counts the requests of the routes above it, and not the dashboard's.
        .layer(RequestMetrics::new(tacho.registry())?)
        .nest("/tacho", tachograph::router(&tacho));

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/tacho", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
