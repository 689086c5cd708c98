from dash import Dash, html

app = Dash(__name__, title="Dash by Bale")
app.layout = html.Div("Hello")
server = app.server

if __name__ == "__main__":
    app.run(debug=True)
