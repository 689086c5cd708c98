const http = require('node:http')

const text = `no package.json, Node ${process.version}\n`
http.createServer((_request, response) => response.end(text)).listen(process.env.PORT)
