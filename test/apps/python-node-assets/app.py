import shutil

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    css = open("static/site.css").read()
    return f"built by Node: {css.strip()}; node in the image: {shutil.which('node')}"
