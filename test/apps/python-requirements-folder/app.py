from bottle import Bottle

app = Bottle()


@app.get("/")
def page():
    return "a page of Bottle"
