import os
import platform
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"plain Python {platform.python_version()}\n".encode())


HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
