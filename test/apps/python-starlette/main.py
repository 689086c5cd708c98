from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def index(request):
    return PlainTextResponse(f"Starlette at {request.url.path}")


app = Starlette(routes=[Route("/{path:path}", index)])
