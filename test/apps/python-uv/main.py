import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec

import greeting


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{greeting.text}, development packages: {find_spec('checks') is not None}".encode())


HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
