import os

from bottle import route, run


@route("/")
def index():
    return "a script of setup.py"


def main():
    run(host="0.0.0.0", port=int(os.environ["PORT"]))
