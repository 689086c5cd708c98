import cherrypy


class Catalogue:
    @cherrypy.expose
    def index(self):
        return f"CherryPy {cherrypy.__version__} lists {cherrypy.server.socket_host}"
