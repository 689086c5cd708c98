package main

// #include <zlib.h>
// #cgo LDFLAGS: -lz
import "C"

import "fmt"

func main() { fmt.Println("zlib", C.GoString(C.zlibVersion())) }
