fn main() {
    let version = unsafe { std::ffi::CStr::from_ptr(libsqlite3_sys::sqlite3_libversion()) };
    println!("SQLite {}", version.to_str().expect("a version"));
}
