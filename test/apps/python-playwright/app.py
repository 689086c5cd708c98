from flask import Flask
from playwright.sync_api import sync_playwright

app = Flask(__name__)


@app.get("/")
def index():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch()
        page = browser.new_page()
        page.set_content("<h1>laid out, with a font</h1>")
        text = page.inner_text("h1") if page.evaluate("document.querySelector('h1').offsetWidth > 0") else "nothing"
        page.screenshot()
        browser.close()
        return text
