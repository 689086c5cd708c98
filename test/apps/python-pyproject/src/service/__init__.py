from os import environ

import bottle


@bottle.get("/")
def index():
    return "a script of pyproject.toml"


def serve():
    bottle.run(host="0.0.0.0", port=int(environ["PORT"]))
