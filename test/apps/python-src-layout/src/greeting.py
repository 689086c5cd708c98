TEXT = "greetings from a sibling module\n"
