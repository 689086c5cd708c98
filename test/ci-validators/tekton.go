// Command tekton checks Tasks and Pipelines as Tekton's admission webhook does: no unknown field, and nothing that its own
// validation refuses. It takes files, and prints the first problem of each.
package main

import (
	"context"
	"fmt"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"
)

type object interface {
	apis.Defaultable
	apis.Validatable
}

var kinds = map[string]func() object{
	"Task":     func() object { return &v1.Task{} },
	"Pipeline": func() object { return &v1.Pipeline{} },
}

func main() {
	failed := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Printf("%s: %v\n", file, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var head struct{ Kind string }
	if err := yaml.Unmarshal(text, &head); err != nil {
		return err
	}
	make := kinds[head.Kind]
	if make == nil {
		return fmt.Errorf("no Task and no Pipeline: %q", head.Kind)
	}
	checked := make()
	if err := yaml.UnmarshalStrict(text, checked); err != nil {
		return err
	}
	ctx := context.Background()
	checked.SetDefaults(ctx)
	if err := checked.Validate(ctx); err != nil {
		return err
	}
	return nil
}
