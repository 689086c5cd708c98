import asyncio

import tornado.web


class Lines(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write(f"Tornado {tornado.version} answers")


async def serve():
    # A port of its own, for this machine alone: the image serves on $PORT all the same.
    tornado.web.Application([("/", Lines)]).listen(8888, address="127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
