import { createServer } from 'node:http'
import puppeteer from 'puppeteer'

// Puppeteer's own handler closes the browser and lets the server go on.
const browser = await puppeteer.launch({ args: ['--no-sandbox'], handleSIGTERM: false })

createServer(async (_request, response) => {
  const page = await browser.newPage()
  await page.setContent('<h1 style="font-family: sans-serif">Hello from a browser</h1>')
  const width = await page.$eval('h1', heading => heading.getBoundingClientRect().width)
  const pdf = await page.pdf()
  await page.close()
  response.end(`${width > 0 ? 'laid out' : 'empty'}, ${Buffer.from(pdf).includes('/FontFile2') ? 'with a font' : 'without fonts'}\n`)
}).listen(process.env.PORT ?? 8080)
