const { readFileSync } = require('node:fs')
const { createServer } = require('node:http')

createServer((request, response) => response.end(readFileSync('client/dist/page.html'))).listen(process.env.PORT)
