package main

import (
	"fmt"

	"example.com/old/greet"
)

func main() { fmt.Println(greet.Everyone()) }
