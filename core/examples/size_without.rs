//! What `size_with` is compared with: the standard library's own part of a small program.

use std::hint::black_box;

fn main() {
    let names: Vec<String> = black_box(vec!["name".into()]);
    println!("{:?} {names:?}", black_box(Some(1.5)));
}
