package greeting

// Of says who is there.
func Of(name string) string { return "module " + name }
