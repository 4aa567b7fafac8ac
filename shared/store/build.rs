//! `sqlx::migrate!` reads the migrations at compile time; cargo has to know that they matter.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
