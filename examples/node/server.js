// A page that counts its visits and greets by name: http://localhost:8080/?name=Ada
import express from 'express'

const app = express()
const port = process.env.PORT ?? 8080
let visits = 0

const escapeHtml = text => String(text).replaceAll(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`)

app.get('/', (request, response) => {
  const name = escapeHtml(request.query.name ?? 'world')
  visits += 1
  response.send(`<!doctype html>
<title>Hello, ${name}</title>
<h1>Hello, ${name}!</h1>
<p>This is Express on Node ${process.version}, in an image built by Bale. Visit ${visits}.</p>
`)
})

app.get('/health', (_request, response) => {
  response.json({ status: 'ok' })
})

const server = app.listen(port, () => console.log(`listening on port ${port}`))
process.on('SIGTERM', () => server.close())
