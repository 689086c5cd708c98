from importlib.util import find_spec
from os import environ

import bottle


@bottle.get("/")
def index():
    return f"by PDM, development packages: {find_spec('iniconfig') is not None}"


bottle.run(server="waitress", host="0.0.0.0", port=int(environ["PORT"]))
