package greet

func Everyone() string { return "from before modules" }
