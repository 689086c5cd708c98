fn main() {
    println!("{}", shared::greet("worker"));
}
