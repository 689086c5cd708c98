from flask import Flask


def create_app():
    app = Flask(__name__)

    @app.get("/")
    def hello():
        return "made by a factory\n"

    return app
