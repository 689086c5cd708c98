const http = require('node:http')

const npm = /npm\/(\d+)/.exec(process.env.npm_config_user_agent)?.[1]
http.createServer((_request, response) => response.end(`started by npm ${npm}\n`)).listen(process.env.PORT)
