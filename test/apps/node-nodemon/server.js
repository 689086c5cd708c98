const { createServer } = require('node:http')

createServer((request, response) => response.end('started by nodemon')).listen(process.env.PORT)
