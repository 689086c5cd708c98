"""A package of the workspace."""

text = "from the workspace"
