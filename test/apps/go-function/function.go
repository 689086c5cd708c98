// Package hello has a function of the Functions Framework, and no program.
package hello

import (
	"fmt"
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() {
	functions.HTTP("Greet", greet)
}

func greet(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "Hello from a function")
}
