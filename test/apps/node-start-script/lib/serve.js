const http = require('node:http')
const ms = require('ms')

const port = Number(process.argv[process.argv.indexOf('--port') + 1])
const text = `${ms('1d')} ms a day, NODE_ENV=${process.env.NODE_ENV}\n`
http.createServer((_request, response) => response.end(text)).listen(port)
