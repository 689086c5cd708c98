// Shop serves what Node.js built, from within the program.
package main

import (
	"embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
)

//go:embed assets
var assets embed.FS

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		css, err := assets.ReadFile("assets/site.css")
		_, noNode := exec.LookPath("node")
		fmt.Fprintf(w, "%s, %v, no node in the image: %t", css, err, noNode != nil)
	})
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}
