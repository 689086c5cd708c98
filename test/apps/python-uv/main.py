from http.server import BaseHTTPRequestHandler, HTTPServer
from os import environ

from greeting import TEXT


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(TEXT.encode())


HTTPServer(("0.0.0.0", int(environ["PORT"])), Handler).serve_forever()
