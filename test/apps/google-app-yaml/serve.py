import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"named by app.yaml")


HTTPServer(("", int(sys.argv[1])), Hello).serve_forever()
