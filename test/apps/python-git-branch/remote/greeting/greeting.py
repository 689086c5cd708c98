text = "hello from a branch"
