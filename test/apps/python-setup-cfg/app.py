import cherrypy

from catalogue import Catalogue

# A port of its own, for this machine alone: the image serves on $PORT all the same.
cherrypy.config.update({"server.socket_port": 8099})

if __name__ == "__main__":
    cherrypy.quickstart(Catalogue())
