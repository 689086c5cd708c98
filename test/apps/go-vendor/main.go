package main

import (
	"fmt"

	"example.com/adder"
)

func main() { fmt.Println("vendored:", adder.Sum(40, 2), answer) }

var answer = "unset"
