import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return f"two workers: {os.environ['WORKERS']}\n"
