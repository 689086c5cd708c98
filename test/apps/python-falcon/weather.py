from wsgiref.simple_server import make_server

import falcon


class Weather:
    def on_get(self, _request, response):
        response.media = {"sky": "clear"}


app = falcon.App()
app.add_route("/weather", Weather())

if __name__ == "__main__":
    make_server("127.0.0.1", 8000, app).serve_forever()
