from importlib.metadata import version

print("click", version("click"))
