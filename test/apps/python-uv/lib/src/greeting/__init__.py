TEXT = "by uv, from a folder of the application"
