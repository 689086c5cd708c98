from flask import Flask

import greeting

app = Flask(__name__)


@app.get("/")
def hello():
    return greeting.TEXT
