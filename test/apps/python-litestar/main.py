from litestar import Litestar, get


@get("/")
async def index() -> dict[str, str]:
    return {"by": "Litestar"}


app = Litestar([index])
