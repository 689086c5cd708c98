fn main() {
    println!("{}", shared::greet("api"));
}
