package main

import (
	"flag"
	"fmt"
	"runtime"
)

func main() {
	greet := flag.String("greet", "nobody", "whom to greet")
	flag.Parse()
	fmt.Printf("hello %s from %s\n", *greet, runtime.Version())
}
