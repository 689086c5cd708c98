package main

import (
	"embed"
	"html/template"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/go-chi/chi/v5"
)

//go:embed static
var static embed.FS

func main() {
	page := template.Must(template.ParseFiles("templates/page.html"))
	sources, err := filepath.Glob("*.go")
	if err != nil {
		log.Fatal(err)
	}
	r := chi.NewRouter()
	r.Handle("/static/*", http.FileServerFS(static))
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		_, missing := os.Stat("static/site.css")
		if err := page.Execute(w, map[string]any{"Sources": len(sources), "Embedded": missing != nil}); err != nil {
			log.Print(err)
		}
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), r))
}
