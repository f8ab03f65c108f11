//! Rebuilds the embedded page when it was built anew.

fn main() {
    println!("cargo:rerun-if-changed=dist");
}
