use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let port = std::env::var("PORT").expect("PORT");
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("listen");
    for stream in listener.incoming() {
        let mut stream = stream.expect("connection");
        let _ = stream.read(&mut [0; 4096]);
        let note = std::fs::read_to_string("static/note.txt").expect("note");
        let sources = std::path::Path::new("src").exists() || std::path::Path::new("Cargo.toml").exists();
        let body = format!("{} {}, sources: {sources}", note.trim(), itoa::Buffer::new().format(42));
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    }
}
