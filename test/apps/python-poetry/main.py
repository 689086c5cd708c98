import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"in Poetry's environment: {sys.prefix != sys.base_prefix}".encode())


HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
