"""A page that counts its visits and greets by name: http://localhost:8080/?name=Ada"""

import itertools
import platform

from flask import Flask, render_template, request

app = Flask(__name__)
visits = itertools.count(1)


@app.get("/")
def page():
    name = request.args.get("name", "world")
    return render_template("page.html", name=name, visit=next(visits), python=platform.python_version())


@app.get("/health")
def health():
    return {"status": "ok"}
