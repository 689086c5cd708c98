from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "Python serves the front end's script: " + open("main.js").read()
