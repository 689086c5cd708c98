pub fn greet(who: &str) -> String {
    format!("{who} of the workspace")
}
