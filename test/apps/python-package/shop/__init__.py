from flask import Flask


def create_app(settings=None):
    app = Flask(__name__)
    if settings is not None:
        app.config.from_mapping(settings)

    @app.get("/")
    def page():
        return f"made by {create_app.__name__}"

    return app
