import importlib.metadata
import platform
import sqlite3
import ssl  # noqa: F401  its libraries have to be in the image

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def hello():
    version = importlib.metadata.version("flask")
    sqlite = sqlite3.connect(":memory:").execute("select sqlite_version()").fetchone()[0]
    return f"Hello {request.args['name']} from Flask {version} on Python {platform.python_version()}, SQLite {sqlite}\n"
